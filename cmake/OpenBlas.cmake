# OpenBLAS from its JavaCPP jar, which has the headers and the libraries that the Java side ships.
# THREEGATE_OPENBLAS_DIRECTORY names a directory with libopenblas.so.0 and include/. If it is not set, Maven unpacks the jar.
set(THREEGATE_OPENBLAS_VERSION "0.3.31-1.5.13")
set(THREEGATE_OPENBLAS_DIRECTORY "" CACHE PATH "Directory with libopenblas.so.0 and include/; empty: unpack the jar")

# The library and those that it needs.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL aarch64)
  set(platform linux-arm64)
  set(THREEGATE_OPENBLAS_FILES libopenblas.so.0 libgfortran.so.5)
else()
  set(platform linux-x86_64)
  set(THREEGATE_OPENBLAS_FILES libopenblas.so.0 libgfortran.so.5 libquadmath.so.0)
endif()

if(NOT THREEGATE_OPENBLAS_DIRECTORY)
  set(unpacked "${CMAKE_CURRENT_LIST_DIR}/../native/build/openblas-${THREEGATE_OPENBLAS_VERSION}")
  cmake_path(NORMAL_PATH unpacked)
  if(NOT EXISTS "${unpacked}/org/bytedeco/openblas/${platform}/libopenblas.so.0")
    message(STATUS "Unpacking OpenBLAS ${THREEGATE_OPENBLAS_VERSION} with Maven")
    execute_process(
      COMMAND ${CMAKE_CURRENT_LIST_DIR}/../mvnw -q -B -N -f ${CMAKE_CURRENT_LIST_DIR}/../pom.xml
        dependency:unpack -Dartifact=org.bytedeco:openblas:${THREEGATE_OPENBLAS_VERSION}:jar:${platform} -DoutputDirectory=${unpacked}
        -Dmdep.unpack.includes=org/bytedeco/openblas/${platform}/lib*.so.*,org/bytedeco/openblas/${platform}/include/*
      RESULT_VARIABLE failed)
    if(failed)
      message(FATAL_ERROR "Maven could not unpack OpenBLAS; set THREEGATE_OPENBLAS_DIRECTORY to a directory with libopenblas.so.0 and include/")
    endif()
  endif()
  set(THREEGATE_OPENBLAS_DIRECTORY "${unpacked}/org/bytedeco/openblas/${platform}" CACHE PATH "" FORCE)
endif()

add_library(threegate_openblas SHARED IMPORTED)
set_target_properties(threegate_openblas PROPERTIES
  IMPORTED_LOCATION "${THREEGATE_OPENBLAS_DIRECTORY}/libopenblas.so.0"
  INTERFACE_INCLUDE_DIRECTORIES "${THREEGATE_OPENBLAS_DIRECTORY}/include")
