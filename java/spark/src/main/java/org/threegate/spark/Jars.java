package org.threegate.spark;

import java.io.OutputStream;
import java.io.PrintStream;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.apache.spark.SparkConf;
import org.apache.spark.deploy.SparkHadoopUtil;
import org.apache.spark.deploy.SparkSubmit$;
import org.apache.spark.util.DependencyUtils;
import org.apache.spark.util.MutableURLClassLoader;
import org.threegate.run.InvalidInputException;
import scala.Option;
import scala.jdk.javaapi.CollectionConverters;

/**
 * The jars that a user adds with {@code spark.jars} and {@code spark.jars.packages}. Spark itself
 * adds them in {@code spark-submit} only, which the launcher does not use.
 */
final class Jars {
  static final String JARS = "spark.jars";
  static final String PACKAGES = "spark.jars.packages";

  private Jars() {}

  /**
   * Adds jars to the driver and to the executors. The driver loads them through the context class
   * loader of this thread, which Spark and Hadoop use.
   *
   * @param conf settings so far; {@code spark.jars} is extended
   * @param settings settings of the user, which are not part of {@code conf} yet
   * @param own jars of Threegate that executors need; the driver has them already
   */
  static void add(SparkConf conf, Map<String, String> settings, List<Path> own) {
    SparkConf whole = conf.clone();
    settings.forEach(whole::set);
    Set<String> added = new LinkedHashSet<>(list(settings.getOrDefault(JARS, "")));
    added.forEach(Jars::requireFile);
    added.addAll(packages(whole, settings));
    Set<String> all = new LinkedHashSet<>(list(conf.get(JARS, "")));
    own.forEach(jar -> all.add(jar.toString()));
    all.addAll(added);
    if (!all.isEmpty()) {
      conf.set(JARS, String.join(",", all));
    }
    if (!added.isEmpty()) {
      load(whole, String.join(",", added));
    }
  }

  private static List<String> list(String jars) {
    return Stream.of(jars.split(",")).map(String::strip).filter(jar -> !jar.isEmpty()).toList();
  }

  /** Fails if a local jar is missing. Spark only logs that. */
  private static void requireFile(String jar) {
    String file = jar.replaceFirst("^(file|local):", "");
    boolean isLocal = !file.matches("[a-zA-Z][a-zA-Z0-9+.-]*:.*|.*[*?\\[{].*");
    if (isLocal && !Files.isRegularFile(Path.of(file))) {
      throw new InvalidInputException(JARS + ": " + jar + ": no such file");
    }
  }

  /** Resolves Maven coordinates, with the repositories and exclusions of Spark's settings. */
  private static List<String> packages(SparkConf conf, Map<String, String> settings) {
    String packages = settings.getOrDefault(PACKAGES, "");
    if (packages.isBlank()) {
      return List.of();
    }
    // Spark prints a report of the resolution; failures have an exception of their own.
    SparkSubmit$.MODULE$.printStream_$eq(new PrintStream(OutputStream.nullOutputStream()));
    try {
      return List.copyOf(
          CollectionConverters.asJava(
              DependencyUtils.resolveMavenDependencies(
                  true,
                  conf.get("spark.jars.excludes", ""),
                  packages,
                  conf.get("spark.jars.repositories", ""),
                  conf.get("spark.jars.ivy", ""),
                  Option.apply(conf.get("spark.jars.ivySettings", null)))));
    } catch (RuntimeException e) {
      throw new InvalidInputException(
          PACKAGES + "=" + packages + ": " + Reasons.line(e) + "; check name and version", e);
    } finally {
      SparkSubmit$.MODULE$.printStream_$eq(System.err);
    }
  }

  private static void load(SparkConf conf, String jars) {
    Thread thread = Thread.currentThread();
    MutableURLClassLoader loader =
        new MutableURLClassLoader(new URL[0], thread.getContextClassLoader());
    // The second argument is a jar to leave out, by name.
    String files =
        DependencyUtils.resolveAndDownloadJars(
            jars, "threegate-spark.jar", conf, SparkHadoopUtil.get().newConfiguration(conf));
    DependencyUtils.addJarsToClassPath(files, loader);
    thread.setContextClassLoader(loader);
  }
}
