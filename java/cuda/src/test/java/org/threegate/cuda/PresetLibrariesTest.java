package org.threegate.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.testing.ChildJvm;

/** Verifies how cuBLAS and cuSOLVER are found. Small jars stand for those of gigabytes. */
class PresetLibrariesTest {
  private static final String FOLDER = "org/bytedeco/cuda/linux-x86_64/";

  @TempDir Path directory;

  private Path jar(String classifier, String... files) throws IOException {
    Path jar = directory.resolve("cuda-13.1-linux-x86_64-" + classifier + ".jar");
    Path emulated =
        Path.of(System.getProperty("threegate.test.emulation", "/nowhere"), "libraries");
    try (OutputStream out = Files.newOutputStream(jar);
        JarOutputStream archive = new JarOutputStream(out)) {
      for (String file : files) {
        archive.putNextEntry(new JarEntry(FOLDER + file));
        Path library = emulated.resolve(file);
        archive.write(Files.exists(library) ? Files.readAllBytes(library) : new byte[] {1});
      }
    }
    return jar;
  }

  private List<Path> redistributable() throws IOException {
    return List.of(
        jar("redist-cublas", "libcublas.so.13", "libcublasLt.so.13"),
        jar("redist-cusolver", "libcusolver.so.12"));
  }

  private ChildJvm program(String... arguments) {
    return ChildJvm.of(LibrariesMain.class, arguments)
        .options("-Dorg.bytedeco.javacpp.cachedir=" + directory.resolve("cache"));
  }

  @Test
  void jarsOnTheClassPathAreUnpacked() throws Exception {
    ChildJvm.Result result = program().with(redistributable()).run();
    assertThat(result.code()).as(result.output()).isZero();
    String cache = directory.toRealPath().resolve("cache").toString();
    assertThat(result.output().strip())
        .isEqualTo(
            "[%s/cuda-13.1-linux-x86_64-redist-cublas.jar/%s, %s/cuda-13.1-linux-x86_64-redist-cusolver.jar/%s]"
                .formatted(
                    cache,
                    FOLDER.substring(0, FOLDER.length() - 1),
                    cache,
                    FOLDER.substring(0, FOLDER.length() - 1)));
    assertThat(
            Path.of(cache, "cuda-13.1-linux-x86_64-redist-cublas.jar", FOLDER, "libcublasLt.so.13"))
        .exists();
  }

  @Test
  void anInstalledToolkitIsUsedWhereItIs() throws Exception {
    Path toolkit = Files.createDirectories(directory.resolve("toolkit"));
    Files.createFile(toolkit.resolve("libcublas.so.13"));
    Files.createFile(toolkit.resolve("libcusolver.so.12"));
    ChildJvm.Result result =
        ChildJvm.of(LibrariesMain.class).options("-Djava.library.path=" + toolkit).run();
    assertThat(result.output().strip()).isEqualTo("[" + toolkit.toRealPath() + "]");
  }

  @Test
  void aLibraryThatIsMissingIsNamedWithItsJar() throws Exception {
    List<Path> half = new ArrayList<>(redistributable());
    half.remove(1);
    ChildJvm.Result result = program().options("-Djava.library.path=/nowhere").with(half).run();
    assertThat(result.output())
        .startsWith(
            "the presets of JavaCPP do not find libcusolver.so.12"
                + " (classifier linux-x86_64-redist-cusolver) on the class path, in ")
        .contains("/usr/local/cuda-13.1/lib64/");
  }

  @Test
  void withoutThePresetsTheMessageNamesThem() throws Exception {
    ChildJvm.Result result = program().without("/org/bytedeco/cuda/").run();
    assertThat(result.output().strip()).isEqualTo("org.bytedeco:cuda is not on the class path");
  }

  @Test
  void presetsOfAnotherCudaAreRefused() throws Exception {
    Path source =
        Files.writeString(
            directory.resolve("cusolver.java"),
            """
            package org.bytedeco.cuda.presets;
            @org.bytedeco.javacpp.annotation.Properties(
                value = @org.bytedeco.javacpp.annotation.Platform(link = {"cublas@.12", "cusolver@.11"}))
            public class cusolver {}
            """);
    int compiled =
        ToolProvider.getSystemJavaCompiler()
            .run(
                null,
                null,
                null,
                "-proc:none",
                "-cp",
                System.getProperty("java.class.path"),
                "-d",
                directory.toString(),
                source.toString());
    assertThat(compiled).isZero();
    ChildJvm.Result result =
        program().without("/org/bytedeco/cuda/").with(List.of(directory)).run();
    assertThat(result.output().strip())
        .isEqualTo(
            "the presets of JavaCPP are for another CUDA than 13: they do not know libcublas.so.13");
  }

  @DeviceTest
  void theVariableOfTheOperatorHasPrecedence() throws Exception {
    String given = System.getProperty("threegate.test.emulation") + "/libraries";
    ChildJvm.Result result =
        program("use")
            .with(redistributable())
            .environment(Map.of("THREEGATE_CUDA_LIBRARIES", given))
            .run();
    assertThat(result.code()).as(result.output()).isZero();
    assertThat(result.output())
        .contains("cuSOLVER  " + given + ", given by THREEGATE_CUDA_LIBRARIES\n")
        .contains("mapped " + Path.of(given).toRealPath().resolve("libcusolver.so.12"));
  }

  @DeviceTest
  void contextsUseWhatThePresetsFind() throws Exception {
    ChildJvm.Result result = program("use").with(redistributable()).run();
    assertThat(result.code()).as(result.output()).isZero();
    assertThat(result.output())
        .startsWith("90.0")
        .containsPattern("cuSOLVER +\\S+redist-cublas.jar/\\S+:\\S+redist-cusolver.jar/\\S+\n")
        .containsPattern("mapped \\S+redist-cusolver.jar/" + FOLDER + "libcusolver.so.12");
  }

  @DeviceTest
  void withoutLibrariesTheCpuComputesSpectraAndDoctorSaysWhy() throws Exception {
    ChildJvm.Result result = program("use").without("/org/bytedeco/cuda/").run();
    assertThat(result.code()).as(result.output()).isZero();
    assertThat(result.output())
        .startsWith("90.0")
        .contains(
            "cuSOLVER  that of the system, if it has one; org.bytedeco:cuda is not on the class path")
        .doesNotContain("mapped");
  }
}
