package org.threegate.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.apache.spark.SparkConf;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.run.InvalidInputException;

/** Tests that jars of the user are added to the driver and to the executors. */
class JarsTest {
  private static final ClassLoader LOADER = Thread.currentThread().getContextClassLoader();
  private static final Path OWN = Path.of("/opt/threegate-spark.jar");

  @TempDir Path directory;

  @AfterEach
  void restoreLoader() {
    Thread.currentThread().setContextClassLoader(LOADER);
  }

  private Path jar(Path file, String entry) throws IOException {
    Files.createDirectories(file.getParent());
    try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(file))) {
      out.putNextEntry(new ZipEntry(entry));
    }
    return file;
  }

  private static boolean isLoadable(String resource) {
    return Thread.currentThread().getContextClassLoader().getResource(resource) != null;
  }

  @Test
  void jarsOfTheUserJoinOurs() throws IOException {
    Path one = jar(directory.resolve("one.jar"), "one.txt");
    Path two = jar(directory.resolve("two.jar"), "two.txt");
    SparkConf conf = new SparkConf(false);
    Jars.add(conf, Map.of("spark.jars", one + ", file:" + two), List.of(OWN));
    assertThat(conf.get("spark.jars").split(","))
        .containsExactly(OWN.toString(), one.toString(), "file:" + two);
    assertThat(isLoadable("one.txt")).isTrue();
    assertThat(isLoadable("two.txt")).isTrue();
  }

  @Test
  void withoutJarsNothingChanges() {
    SparkConf conf = new SparkConf(false);
    Jars.add(conf, Map.of("spark.jars", " , "), List.of());
    assertThat(conf.contains("spark.jars")).isFalse();
    assertThat(Thread.currentThread().getContextClassLoader()).isSameAs(LOADER);
  }

  @Test
  void aMissingJarIsNamed() {
    Map<String, String> settings = Map.of("spark.jars", directory.resolve("none.jar").toString());
    assertThatThrownBy(() -> Jars.add(new SparkConf(false), settings, List.of()))
        .isInstanceOf(InvalidInputException.class)
        .hasMessage("spark.jars: " + directory.resolve("none.jar") + ": no such file");
  }

  /** Writes a Maven repository with one artifact and a dependency of it. */
  private Path repository() throws IOException {
    Path root = directory.resolve("repository");
    for (String name : List.of("store", "client")) {
      Path version = root.resolve("org/example").resolve(name).resolve("1.0");
      jar(version.resolve(name + "-1.0.jar"), name + ".txt");
      String dependency =
          "<dependencies><dependency><groupId>org.example</groupId><artifactId>client</artifactId>"
              + "<version>1.0</version></dependency></dependencies>";
      Files.writeString(
          version.resolve(name + "-1.0.pom"),
          "<project><modelVersion>4.0.0</modelVersion><groupId>org.example</groupId><artifactId>"
              + name
              + "</artifactId><version>1.0</version>"
              + (name.equals("store") ? dependency : "")
              + "</project>");
    }
    return root;
  }

  /** Returns settings that resolve packages from the local repository only. */
  private Map<String, String> packages(String coordinates) throws IOException {
    Path settings = directory.resolve("ivysettings.xml");
    Files.writeString(
        settings,
        "<ivysettings><settings defaultResolver=\"own\"/><resolvers><ibiblio name=\"own\""
            + " m2compatible=\"true\" root=\""
            + repository().toUri()
            + "\"/></resolvers></ivysettings>");
    return Map.of(
        "spark.jars.packages", coordinates,
        "spark.jars.ivySettings", settings.toString(),
        "spark.jars.ivy", directory.resolve("ivy").toString());
  }

  @Test
  void packagesComeWithTheirDependencies() throws IOException {
    SparkConf conf = new SparkConf(false);
    Jars.add(conf, packages("org.example:store:1.0"), List.of(OWN));
    assertThat(conf.get("spark.jars").split(","))
        .hasSize(3)
        .startsWith(OWN.toString())
        .anyMatch(jar -> jar.endsWith("org.example_store-1.0.jar"))
        .anyMatch(jar -> jar.endsWith("org.example_client-1.0.jar"));
    assertThat(isLoadable("store.txt")).isTrue();
    assertThat(isLoadable("client.txt")).isTrue();
  }

  @Test
  void aPackageThatDoesNotExistIsNamed() throws IOException {
    Map<String, String> settings = packages("org.example:store:2.0");
    assertThatThrownBy(() -> Jars.add(new SparkConf(false), settings, List.of()))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith("spark.jars.packages=org.example:store:2.0: ")
        .hasMessageContaining("not found")
        .hasMessageNotContaining("\n");
  }

  @Test
  void clustersWithoutAClientAreSentToSparkSubmit() {
    for (String master : List.of("yarn", "k8s://https://127.0.0.1:1")) {
      assertThatThrownBy(() -> new SparkEngineProvider().open(master, Map.of()))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageStartingWith(master + ": this program has no client for such a cluster")
          .hasMessageStartingWith(master + ": ")
          .hasMessageContaining("spark-submit of an installed Spark");
    }
  }
}
