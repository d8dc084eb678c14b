# THREEGATE_SANITIZE: a list for -fsanitize=, such as "address,undefined".
set(THREEGATE_SANITIZE "" CACHE STRING "Sanitizers to build with")

function(threegate_sanitizers target)
  if(THREEGATE_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${THREEGATE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${THREEGATE_SANITIZE})
  endif()
endfunction()
