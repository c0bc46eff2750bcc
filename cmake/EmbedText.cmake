# rehearse_embed_text(TARGET FILE HEADER SYMBOL): a text file of this folder as `static const char SYMBOL[]` in a header that
# only TARGET sees. Kept as a file of its own it can be read, and edited with what knows its language.
function(rehearse_embed_text target file header symbol)
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(READ ${source} text)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "\n" "\\n\"\n\t\"" text "${text}")
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/embedded/${header} @ONLY
    CONTENT "/* Made from ${file}. */\nstatic const char ${symbol}[] =\n\t\"@text@\";\n")
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/embedded)
endfunction()
