/**
 * The thin API over the native kernels: dtypes, buffers, kernels, and the search for the native
 * library. A program also needs a binding ({@code org.threegate.binding.jni} or {@code
 * org.threegate.binding.ffm}) and the native libraries of its platform ({@code
 * org.threegate.natives.linux.x86_64}). The module {@code org.threegate} requires all of them.
 */
module org.threegate.core {
  exports org.threegate.buffer;
  exports org.threegate.dtype;
  exports org.threegate.kernel;
  exports org.threegate.loading;
  exports org.threegate.spi;

  uses org.threegate.spi.BindingProvider;
  uses org.threegate.spi.CudaLibraryProvider;
}
