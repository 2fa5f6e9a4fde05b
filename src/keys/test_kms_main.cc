// SPDX-License-Identifier: Apache-2.0
// The key service of test_kms.h as a program, for black-box tests:
//
//   test-kms ACCESS_KEY_ID SECRET KEY[=ALIAS]...
//
// prints its URL, then obeys lines on its input: `deny KEY`, `allow KEY`,
// each answered with a line, until the input ends. The region is test-1.
#include <iostream>

#include "keys/test_kms.h"

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: test-kms ACCESS_KEY_ID SECRET KEY[=ALIAS]...\n";
    return 2;
  }
  morsel::TestKms kms(argv[1], argv[2]);
  for (int i = 3; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t equals = std::min(word.find('='), word.size());
    kms.AddKey(word.substr(0, equals),
               word.substr(std::min(equals + 1, word.size())));
  }
  std::cout << kms.url() << std::endl;
  std::string verb;
  std::string key;
  while (std::cin >> verb >> key) {
    kms.Deny(key, verb == "deny");
    std::cout << verb << " " << key << std::endl;
  }
  return 0;
}
