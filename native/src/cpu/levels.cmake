# The files that are compiled for one instruction set, and their options. CMAKE_SYSTEM_PROCESSOR names the architecture.
set(threegate_cpu src/cpu)
# Fused multiplications would give different bits with different instruction sets.
set(threegate_lane_options -fno-math-errno -ffp-contract=off)
set_source_files_properties(${threegate_cpu}/random/core.cpp PROPERTIES COMPILE_OPTIONS "${threegate_lane_options}")
set(threegate_lanes curvature/differences mask/screen nulls/change_rows nulls/rescaling_rows nulls/residual_rows random/normals svd/pairs)
foreach(lanes ${threegate_lanes})
  set_source_files_properties(${threegate_cpu}/${lanes}.cpp PROPERTIES COMPILE_OPTIONS "${threegate_lane_options}")
endforeach()

# Adds a file with its options.
function(threegate_variant file)
  target_sources(threegate PRIVATE ${threegate_cpu}/${file})
  set_source_files_properties(${threegate_cpu}/${file} PROPERTIES COMPILE_OPTIONS "${ARGN}")
endfunction()

if(CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
  target_compile_options(threegate PRIVATE -march=x86-64-v2)
  set(avx2 -mavx2 -mfma -mf16c -mbmi -mbmi2 -mlzcnt -mpopcnt)
  set(avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)
  set(quiet -Wno-maybe-uninitialized -Wno-uninitialized) # GCC 12 warns of its own intrinsics
  threegate_variant(codes/codes_avx2.cpp -mavx2)
  threegate_variant(diff/block_avx2.cpp ${avx2})
  threegate_variant(diff/block_avx512.cpp ${avx2} ${avx512} -mavx512vbmi2 ${quiet})
  # These may fuse multiplications: variants differ in last bits, as those of OpenBLAS do.
  threegate_variant(svd/reduction_avx2.cpp -mavx2 -mfma)
  threegate_variant(svd/reduction_avx512.cpp -mavx2 -mfma ${avx512})
  threegate_variant(svd/gram_bf16_avx512.cpp -mavx2 -mfma ${avx512} -mavx512bf16 ${quiet})
  threegate_variant(svd/thin_product_avx512.cpp -mavx2 -mfma ${avx512} -mavx512bf16 ${quiet})
  foreach(lanes ${threegate_lanes})
    threegate_variant(${lanes}_avx2.cpp ${threegate_lane_options} -mavx2 -mfma)
    threegate_variant(${lanes}_avx512.cpp ${threegate_lane_options} -mavx2 -mfma ${avx512})
  endforeach()
  threegate_variant(patch/extract_avx2.cpp -mavx2 -mbmi -mbmi2 -mpopcnt)
  threegate_variant(patch/extract_avx512.cpp
    -mavx2 -mbmi -mbmi2 -mpopcnt -mavx512f -mavx512bw -mavx512vbmi2 -mprefer-vector-width=512 ${quiet})
  threegate_variant(digest/blake3_avx2.cpp -mavx2)
  threegate_variant(digest/blake3_avx512.cpp -mavx2 ${avx512} ${quiet})
  threegate_variant(digest/xxh3_avx2.cpp -mavx2)
  threegate_variant(digest/xxh3_avx512.cpp -mavx2 -mavx512f ${quiet})
  threegate_variant(digest/sha256_extensions.cpp -msha -msse4.1 -mssse3)
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL aarch64)
  # NEON belongs to the architecture. Only SHA-2 needs an option; GCC 12 has its intrinsics with all of crypto.
  foreach(file diff/block_neon digest/xxh3_neon patch/extract_neon)
    threegate_variant(${file}.cpp)
  endforeach()
  threegate_variant(mask/screen_neon.cpp ${threegate_lane_options})
  threegate_variant(digest/sha256_extensions_aarch64.cpp -march=armv8-a+crypto)
endif()
