package org.threegate.binding.generator;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Generates the binding through the foreign function interface of JDK 22, and the metadata with
 * which GraalVM compiles its calls into a native image.
 */
final class FfmSources {
  static final String PACKAGE = "org.threegate.binding.ffm";
  static final String METADATA =
      "META-INF/native-image/org.threegate/threegate-binding-ffm/reachability-metadata.json";

  /**
   * The signatures of dlopen and dlerror, by which DynamicLibrary finds the reason of a failure.
   */
  private static final List<String> SYSTEM =
      List.of(signature("void*", Stream.of("void*", "jint")), signature("void*", Stream.empty()));

  private FfmSources() {}

  /** The Java file of the package. */
  static List<SourceFile> of(Header header) {
    return List.of(SourceFile.java(PACKAGE, "FfmFunctions", code(header)));
  }

  /** The resource with the signature of every call. */
  static List<SourceFile> metadata(Header header) {
    Stream<String> functions =
        header.functions().stream()
            .map(
                function ->
                    signature(
                        "j" + function.result().java(),
                        function.parameters().stream()
                            .map(parameter -> "j" + parameter.type().java())));
    String downcalls =
        Stream.concat(SYSTEM.stream(), functions)
            .distinct()
            .collect(Collectors.joining(",\n", "{\n  \"foreign\": {\n    \"downcalls\": [\n", ""));
    return List.of(new SourceFile(METADATA, downcalls + "\n    ]\n  }\n}\n"));
  }

  private static String signature(String result, Stream<String> parameters) {
    return parameters
        .map(type -> '"' + type + '"')
        .collect(
            Collectors.joining(
                ", ", "      {\"returnType\": \"" + result + "\", \"parameterTypes\": [", "]}"));
  }

  private static String code(Header header) {
    return """
    import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
    import static java.lang.foreign.ValueLayout.JAVA_INT;
    import static java.lang.foreign.ValueLayout.JAVA_LONG;

    import java.lang.foreign.FunctionDescriptor;
    import java.lang.invoke.MethodHandle;
    import java.util.Map;
    import org.threegate.spi.NativeFunctions;

    /**
     * Passes each call on. Addresses are longs, as in the JNI binding. The handles are constants, so that
     * the JVM compiles a call through one of them to a plain call. Each has a class of its own, which binds
     * it at its first call: binding all of them takes a tenth of a second.
     */
    abstract class FfmFunctions implements NativeFunctions {
      private static DynamicLibrary library;

      /** The signature of every C function, by name. */
      static final Map<String, FunctionDescriptor> FUNCTIONS =
          Map.ofEntries(
    %s);

    %s
      private static MethodHandle bind(String name) {
        return library.function(name, FUNCTIONS.get(name));
      }

      FfmFunctions(DynamicLibrary opened) {
        synchronized (FfmFunctions.class) {
          if (library == null) {
            library = opened;
          }
        }
      }

    %s}
    """
        .formatted(
            header.functions().stream()
                .map(FfmSources::descriptor)
                .collect(Collectors.joining(",\n")),
            header.functions().stream().map(FfmSources::handle).collect(Collectors.joining()),
            header.functions().stream().map(FfmSources::call).collect(Collectors.joining("\n")));
  }

  private static String descriptor(Header.Function function) {
    return Stream.concat(
            Stream.of(function.result()),
            function.parameters().stream().map(Header.Parameter::type))
        .map(type -> "JAVA_" + type.java().toUpperCase(Locale.ROOT))
        .collect(
            Collectors.joining(
                ", ",
                "          Map.entry(\"" + function.name() + "\", FunctionDescriptor.of(",
                "))"));
  }

  private static String handle(Header.Function function) {
    return """
      private static final class %s {
        static final MethodHandle HANDLE = bind("%s");
      }

    """
        .formatted(JavaNames.type(function.name()), function.name());
  }

  private static String call(Header.Function function) {
    return """
      @Override
      public %s {
        try {
          return (%s) %s.HANDLE.invokeExact(%s);
        } catch (Throwable e) {
          throw DynamicLibrary.rethrow(e);
        }
      }
    """
        .formatted(
            SpiSources.declaration(function),
            function.result().java(),
            JavaNames.type(function.name()),
            SpiSources.arguments(function));
  }
}
