package org.threegate.binding.ffm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/**
 * A shared library, loaded by dlopen and dlsym. {@link
 * java.lang.foreign.SymbolLookup#libraryLookup} would not report which dependency is missing. The
 * library is never closed.
 */
final class DynamicLibrary {
  private static final int RTLD_NOW = 2;
  private static final long LONGEST_MESSAGE = 4096;
  private static final Linker LINKER = Linker.nativeLinker();

  private final MemorySegment handle;

  private DynamicLibrary(MemorySegment handle) {
    this.handle = handle;
  }

  static DynamicLibrary open(Path path) {
    try (Arena arena = Arena.ofConfined()) {
      MethodHandle dlopen = system("dlopen", FunctionDescriptor.of(ADDRESS, ADDRESS, JAVA_INT));
      MemorySegment handle =
          (MemorySegment) dlopen.invokeExact(arena.allocateFrom(path.toString()), RTLD_NOW);
      if (handle.address() == 0) {
        MethodHandle dlerror = system("dlerror", FunctionDescriptor.of(ADDRESS));
        MemorySegment reason = (MemorySegment) dlerror.invokeExact();
        throw new UnsatisfiedLinkError(reason.reinterpret(LONGEST_MESSAGE).getString(0));
      }
      return new DynamicLibrary(handle);
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  MethodHandle function(String name, FunctionDescriptor descriptor) {
    try (Arena arena = Arena.ofConfined()) {
      MethodHandle dlsym = system("dlsym", FunctionDescriptor.of(ADDRESS, ADDRESS, ADDRESS));
      MemorySegment symbol = (MemorySegment) dlsym.invokeExact(handle, arena.allocateFrom(name));
      if (symbol.address() == 0) {
        throw new UnsatisfiedLinkError("the library has no function " + name);
      }
      return LINKER.downcallHandle(symbol, descriptor);
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  private static MethodHandle system(String name, FunctionDescriptor descriptor) {
    return LINKER.downcallHandle(LINKER.defaultLookup().find(name).orElseThrow(), descriptor);
  }

  /** Rethrows an exception. C functions throw none, so it comes from the JVM. */
  static RuntimeException rethrow(Throwable e) {
    if (e instanceof Error error) {
      throw error;
    }
    if (e instanceof RuntimeException exception) {
      throw exception;
    }
    throw new IllegalStateException(e);
  }
}
