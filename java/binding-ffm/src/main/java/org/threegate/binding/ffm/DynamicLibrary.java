package org.threegate.binding.ffm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.Optional;

/**
 * A shared library, which is never closed. {@link SymbolLookup#libraryLookup} does not report which
 * dependency is missing, so dlopen is asked for the reason of a failure.
 */
final class DynamicLibrary {
  private static final int RTLD_NOW = 2;
  private static final long LONGEST_MESSAGE = 4096;
  private static final Linker LINKER = Linker.nativeLinker();

  private final SymbolLookup symbols;

  private DynamicLibrary(SymbolLookup symbols) {
    this.symbols = symbols;
  }

  static DynamicLibrary open(Path path) {
    try {
      return new DynamicLibrary(SymbolLookup.libraryLookup(path, Arena.global()));
    } catch (IllegalArgumentException e) {
      throw new UnsatisfiedLinkError(reason(path).orElse(e.getMessage()));
    }
  }

  private static Optional<String> reason(Path path) {
    try (Arena arena = Arena.ofConfined()) {
      MethodHandle dlopen = system("dlopen", FunctionDescriptor.of(ADDRESS, ADDRESS, JAVA_INT));
      MemorySegment handle =
          (MemorySegment) dlopen.invokeExact(arena.allocateFrom(path.toString()), RTLD_NOW);
      if (handle.address() != 0) {
        return Optional.empty();
      }
      MethodHandle dlerror = system("dlerror", FunctionDescriptor.of(ADDRESS));
      MemorySegment reason = (MemorySegment) dlerror.invokeExact();
      return Optional.of(reason.reinterpret(LONGEST_MESSAGE).getString(0));
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  MethodHandle function(String name, FunctionDescriptor descriptor) {
    Optional<MemorySegment> symbol = symbols.find(name);
    if (symbol.isEmpty()) {
      throw new UnsatisfiedLinkError("the library has no function " + name);
    }
    return LINKER.downcallHandle(symbol.get(), descriptor);
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
