# rehearse_library(NAME LINKS targets… PRIVATE_LINKS targets…): the folder's sources as a static library. Its headers are
# visible to those that link it and to nobody else, which is what keeps dependencies pointing one way.
# rehearse_flags(TARGET): warnings, sanitizers and the list of banned functions, for every target of ours.

function(rehearse_flags target)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wshadow -Wconversion -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wformat=2
    -Wpointer-arith -Wwrite-strings -Wundef -fno-common -fstack-protector-strong
    -include ${CMAKE_SOURCE_DIR}/base/banned.h)
  if(REHEARSE_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(REHEARSE_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
  if(REHEARSE_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${REHEARSE_SANITIZE} -fno-omit-frame-pointer
      -fno-sanitize-recover=all)
    target_link_options(${target} PRIVATE -fsanitize=${REHEARSE_SANITIZE})
  endif()
endfunction()

function(rehearse_library name)
  cmake_parse_arguments(ARG "" "" "LINKS;PRIVATE_LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  if(NOT sources)
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/empty_${name}.c "typedef int empty_${name};\n")
    set(sources ${CMAKE_CURRENT_BINARY_DIR}/empty_${name}.c)
  endif()
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_LINKS} PRIVATE ${ARG_PRIVATE_LINKS})
  rehearse_flags(${name})
endfunction()
