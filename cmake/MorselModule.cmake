# One folder is one library. morsel_library states everything about it: its
# sources, its tests (one binary a folder; S3_TESTS are a second one, run
# against the S3 service of tests/rgw.sh), the folders that it may include
# (DEPENDS, checked by tests/check_tree.py) and the outside libraries (LIBS).
# A folder's CMakeLists.txt is its statement of dependence.

function(morsel_library name)
  cmake_parse_arguments(M "" "" "SOURCES;TESTS;S3_TESTS;DEPENDS;LIBS" ${ARGN})
  list(TRANSFORM M_DEPENDS PREPEND morsel_)
  if(M_SOURCES)
    add_library(morsel_${name} STATIC ${M_SOURCES})
    set(scope PUBLIC)
  else()
    add_library(morsel_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(morsel_${name} ${scope} ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(morsel_${name} ${scope} ${M_DEPENDS} ${M_LIBS})
  if(M_TESTS AND MORSEL_TESTS)
    add_executable(${name}_test ${M_TESTS})
    target_link_libraries(${name}_test PRIVATE morsel_${name} GTest::gmock
      GTest::gtest_main)
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}/"
      DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300 LABELS unit)
  endif()
  if(M_S3_TESTS AND MORSEL_TESTS)
    add_executable(${name}_s3_test ${M_S3_TESTS})
    target_link_libraries(${name}_s3_test PRIVATE morsel_${name} GTest::gmock
      GTest::gtest_main)
    gtest_discover_tests(${name}_s3_test TEST_PREFIX "${name}/s3/"
      DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300 LABELS unit
      FIXTURES_REQUIRED rgw
      ENVIRONMENT "MORSEL_TEST_RGW=${PROJECT_BINARY_DIR}/rgw/env")
  endif()
endfunction()

# Debug information goes into a file that gdb finds. With it in the programs a
# cold attach took 39 ms instead of 23, likely as the disk reads far ahead.
function(morsel_split_debug name)
  set(debug $<TARGET_FILE_DIR:${name}>/.debug)
  add_custom_command(TARGET ${name} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E make_directory ${debug}
    COMMAND ${CMAKE_OBJCOPY} --only-keep-debug $<TARGET_FILE:${name}>
      ${debug}/${name}.debug
    COMMAND ${CMAKE_OBJCOPY} --strip-debug
      --add-gnu-debuglink=${debug}/${name}.debug $<TARGET_FILE:${name}>
    VERBATIM)
endfunction()

# A program: cmd/<source>, built as bin/<name>. Its TESTS start it as a process:
# MORSEL_PROGRAM is its path.
function(morsel_program name)
  cmake_parse_arguments(M "" "" "SOURCES;TESTS;DEPENDS" ${ARGN})
  list(TRANSFORM M_DEPENDS PREPEND morsel_)
  add_executable(${name} ${M_SOURCES})
  target_link_libraries(${name} PRIVATE ${M_DEPENDS})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    morsel_split_debug(${name})
  endif()
  if(M_TESTS AND MORSEL_TESTS)
    add_executable(${name}_test ${M_TESTS})
    add_dependencies(${name}_test ${name})
    target_link_libraries(${name}_test PRIVATE ${M_DEPENDS} GTest::gmock
      GTest::gtest_main)
    target_compile_definitions(${name}_test PRIVATE
      "MORSEL_PROGRAM=\"$<TARGET_FILE:${name}>\"")
    gtest_discover_tests(${name}_test TEST_PREFIX "cmd/"
      DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300 LABELS unit)
  endif()
endfunction()

# A fuzz target: fuzz/<name>.cc, with libFuzzer in the preset `fuzz`.
function(morsel_fuzzer name)
  cmake_parse_arguments(M "" "" "DEPENDS" ${ARGN})
  list(TRANSFORM M_DEPENDS PREPEND morsel_)
  add_executable(${name} ${name}.cc)
  target_link_libraries(${name} PRIVATE ${M_DEPENDS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()
