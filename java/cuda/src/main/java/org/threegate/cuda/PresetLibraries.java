package org.threegate.cuda;

import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.net.URL;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.bytedeco.javacpp.ClassProperties;
import org.bytedeco.javacpp.Loader;
import org.threegate.spi.CudaLibraryProvider;

/**
 * Finds cuBLAS and cuSOLVER as JavaCPP's presets of CUDA do: in jars on the class path, which are
 * unpacked into the cache of JavaCPP, in an installed CUDA toolkit, and in {@code
 * java.library.path}. The presets are {@code org.bytedeco:cuda}. Their classifiers {@code
 * linux-x86_64-redist-cublas} and {@code linux-x86_64-redist-cusolver} have the libraries. Maven
 * Central lacks them for CUDA 13.1.
 *
 * <p>A program does not call this class. {@link org.threegate.loading.CudaLibraries} does, when the
 * first context of a CUDA device is opened.
 *
 * <pre>{@code
 * System.out.println(new PresetLibraries().directories());
 * }</pre>
 */
public final class PresetLibraries implements CudaLibraryProvider {
  /** A library as the presets name it. */
  private record Library(String name, int version, String classifier, boolean required) {
    String preset() {
      return name + "@." + version;
    }

    String file() {
      return "lib" + name + ".so." + version;
    }
  }

  // Those that are not required are needed by the builds of cuSOLVER that have them.
  private static final List<Library> LIBRARIES =
      List.of(
          new Library("cublas", 13, "redist-cublas", true),
          new Library("cusolver", 12, "redist-cusolver", true),
          new Library("cublasLt", 13, "redist-cublas", false),
          new Library("cusparse", 12, "redist-cusparse", false),
          new Library("nvJitLink", 13, "redist", false));

  /** Creates a provider. {@link java.util.ServiceLoader} calls this. */
  public PresetLibraries() {}

  @Override
  public List<Path> directories() throws IOException {
    Class<?> presets = presets();
    ClassProperties properties = Loader.loadProperties(presets, Loader.loadProperties(), true);
    Set<Path> directories = new LinkedHashSet<>();
    List<String> missing = new ArrayList<>();
    for (Library library : LIBRARIES) {
      Optional<Path> file = find(presets, properties, library);
      file.map(Path::getParent).ifPresent(directories::add);
      if (file.isEmpty() && library.required()) {
        missing.add(
            library.file()
                + " (classifier "
                + Loader.getPlatform()
                + "-"
                + library.classifier()
                + ")");
      }
    }
    if (!missing.isEmpty()) {
      throw new FileNotFoundException(
          "the presets of JavaCPP do not find "
              + String.join(" and ", missing)
              + " on the class path, in "
              + String.join(", ", properties.get("platform.linkpath"))
              + " or in java.library.path");
    }
    return List.copyOf(directories);
  }

  private static Class<?> presets() throws IOException {
    try {
      return org.bytedeco.cuda.presets.cusolver.class;
    } catch (NoClassDefFoundError e) {
      throw new FileNotFoundException("org.bytedeco:cuda is not on the class path");
    }
  }

  private static Optional<Path> find(Class<?> presets, ClassProperties properties, Library library)
      throws IOException {
    List<String> known = new ArrayList<>(properties.get("platform.link"));
    known.addAll(properties.get("platform.preload"));
    if (library.required() && !known.contains(library.preset())) {
      throw new FileNotFoundException(
          "the presets of JavaCPP are for another CUDA than 13: they do not know "
              + library.file());
    }
    List<URL> places =
        new ArrayList<>(List.of(Loader.findLibrary(presets, properties, library.preset())));
    // JavaCPP leaves java.library.path to the JVM unless it searches paths first.
    places.addAll(List.of(Loader.findLibrary(presets, properties, library.preset(), true)));
    for (URL place : places) {
      if (place.getPath().endsWith("/" + library.file())) {
        return Optional.of(unpacked(place));
      }
    }
    return Optional.empty();
  }

  private static Path unpacked(URL place) throws IOException {
    if (place.getProtocol().equals("file")) {
      return Path.of(URI.create("file:" + place.getPath()));
    }
    File file = Loader.cacheResource(place);
    if (file == null) {
      throw new IOException("JavaCPP cannot unpack " + place);
    }
    return file.toPath().toAbsolutePath();
  }
}
