# OpenBLAS, which is loaded at run time and not linked. THREEGATE_BLAS selects one of these:
#   bundled  the libraries of its JavaCPP jar, which Java ships, too. They are installed in the private directory of the library.
#            THREEGATE_OPENBLAS_DIRECTORY names a directory with libopenblas.so.0 and include/; if it is empty, Maven unpacks the jar.
#   system   the libraries of the operating system, found by the loader. The build needs cblas.h and lapacke.h.
set(THREEGATE_OPENBLAS_VERSION "0.3.31-1.5.13")
set(THREEGATE_OPENBLAS_DIRECTORY "" CACHE PATH "Directory with libopenblas.so.0 and include/; empty: unpack the jar")
set(THREEGATE_BLAS bundled CACHE STRING "bundled: install OpenBLAS beside the library; system: use that of the operating system")
set_property(CACHE THREEGATE_BLAS PROPERTY STRINGS bundled system)
set(THREEGATE_SYSTEM_BLAS_LIBRARIES "libopenblas.so.0;liblapacke.so.3" CACHE STRING "Libraries of CBLAS and LAPACKE for THREEGATE_BLAS=system")

if(THREEGATE_BLAS STREQUAL "bundled")
  # A library comes after those that it needs.
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL aarch64)
    set(platform linux-arm64)
    set(THREEGATE_OPENBLAS_FILES libgfortran.so.5 libopenblas.so.0)
  else()
    set(platform linux-x86_64)
    set(THREEGATE_OPENBLAS_FILES libquadmath.so.0 libgfortran.so.5 libopenblas.so.0)
  endif()
  set(libraries ${THREEGATE_OPENBLAS_FILES})
  if(NOT THREEGATE_OPENBLAS_DIRECTORY)
    set(unpacked "${CMAKE_CURRENT_LIST_DIR}/../native/build/openblas-${THREEGATE_OPENBLAS_VERSION}")
    cmake_path(NORMAL_PATH unpacked)
    # Not a cache variable, so that it is found again after the checkout was moved or its build was deleted.
    set(THREEGATE_OPENBLAS_DIRECTORY "${unpacked}/org/bytedeco/openblas/${platform}")
    if(NOT EXISTS "${THREEGATE_OPENBLAS_DIRECTORY}/libopenblas.so.0")
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
  endif()
  if(NOT EXISTS "${THREEGATE_OPENBLAS_DIRECTORY}/libopenblas.so.0")
    message(FATAL_ERROR "THREEGATE_OPENBLAS_DIRECTORY is ${THREEGATE_OPENBLAS_DIRECTORY}, which has no libopenblas.so.0; "
      "set it to a directory with libopenblas.so.0 and include/, or to \"\"")
  endif()
  set(THREEGATE_BLAS_INCLUDE "${THREEGATE_OPENBLAS_DIRECTORY}/include")
  set(linked "${THREEGATE_OPENBLAS_DIRECTORY}/libopenblas.so.0" -Wl,-rpath,${THREEGATE_OPENBLAS_DIRECTORY})
elseif(THREEGATE_BLAS STREQUAL "system")
  set(THREEGATE_OPENBLAS_FILES)
  set(libraries ${THREEGATE_SYSTEM_BLAS_LIBRARIES})
  find_path(THREEGATE_CBLAS_INCLUDE cblas.h PATH_SUFFIXES openblas openblas-pthread REQUIRED)
  find_path(THREEGATE_LAPACKE_INCLUDE lapacke.h PATH_SUFFIXES openblas lapacke REQUIRED)
  set(THREEGATE_BLAS_INCLUDE ${THREEGATE_CBLAS_INCLUDE} ${THREEGATE_LAPACKE_INCLUDE})
  set(linked openblas lapacke)
else()
  message(FATAL_ERROR "THREEGATE_BLAS is \"${THREEGATE_BLAS}\"; allowed are bundled and system")
endif()
list(JOIN libraries ":" libraries)
set(THREEGATE_BLAS_DEFINITIONS "THREEGATE_BLAS_LIBRARIES=\"${libraries}\"")
if(THREEGATE_BLAS STREQUAL "system")
  list(APPEND THREEGATE_BLAS_DEFINITIONS THREEGATE_SYSTEM_BLAS)
endif()

# For programs that link it, which are tests only.
add_library(threegate_openblas INTERFACE)
target_link_libraries(threegate_openblas INTERFACE ${linked})
target_include_directories(threegate_openblas SYSTEM INTERFACE ${THREEGATE_BLAS_INCLUDE})
