# What libthreegate_cuda is made of, for the device and for the CPU alike.
set(THREEGATE_CUDA_HOST_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/diff/diff.cpp
  ${CMAKE_CURRENT_LIST_DIR}/functions.cpp
  ${CMAKE_CURRENT_LIST_DIR}/mask/mask.cpp
  ${CMAKE_CURRENT_LIST_DIR}/support/runtime.cpp
  ${CMAKE_CURRENT_LIST_DIR}/support/session.cpp
  ${CMAKE_CURRENT_LIST_DIR}/support/staging.cpp
  ${CMAKE_CURRENT_LIST_DIR}/svd/truncated_svd.cpp
  ${CMAKE_CURRENT_LIST_DIR}/../common/error.cpp)
set(THREEGATE_CUDA_KERNEL_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/diff/diff_kernels.cu
  ${CMAKE_CURRENT_LIST_DIR}/mask/mask_kernels.cu
  ${CMAKE_CURRENT_LIST_DIR}/svd/product_kernels.cu
  ${CMAKE_CURRENT_LIST_DIR}/svd/small_kernels.cu
  ${CMAKE_CURRENT_LIST_DIR}/svd/vector_kernels.cu)
