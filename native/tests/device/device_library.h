// Memory and streams of the CUDA device, for tests that are not linked with the CUDA runtime. On a GPU the functions are in
// libthreegate_test_device.so, and on the emulated device in its own library. They return a cudaError_t.
#ifndef THREEGATE_TESTS_DEVICE_DEVICE_LIBRARY_H
#define THREEGATE_TESTS_DEVICE_DEVICE_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The host may read and write the memory of this function while nothing runs on the device.
int tg_test_allocate(int device, void** memory, size_t bytes);
// Zeros that both may use in the same way. On the emulated device they take memory only where they were written.
int tg_test_allocate_zeros(int device, void** memory, size_t bytes);
// Memory that only the device may use.
int tg_test_allocate_on_device(int device, void** memory, size_t bytes);
int tg_test_free(int device, void* memory);
int tg_test_available(int device, size_t* bytes);
int tg_test_create_stream(int device, int blocking, void** stream);
int tg_test_destroy_stream(int device, void* stream);
// Copies `count` words on the device long after the call has returned. The stream may be NULL.
int tg_test_copy_late(int device, uint32_t* to, const uint32_t* from, int64_t count, void* stream);
int tg_test_synchronize(int device, void* stream);

#ifdef __cplusplus
}
#endif

#endif  // THREEGATE_TESTS_DEVICE_DEVICE_LIBRARY_H
