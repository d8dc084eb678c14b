# Compiles through ccache if it is installed. THREEGATE_CCACHE=OFF leaves it out.
option(THREEGATE_CCACHE "Compile through ccache if it is installed" ON)
if(THREEGATE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(THREEGATE_CCACHE_PROGRAM ccache)
  if(THREEGATE_CCACHE_PROGRAM)
    set(CMAKE_C_COMPILER_LAUNCHER ${THREEGATE_CCACHE_PROGRAM})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${THREEGATE_CCACHE_PROGRAM})
  endif()
endif()
