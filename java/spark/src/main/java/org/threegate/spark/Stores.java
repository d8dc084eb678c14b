package org.threegate.spark;

import java.io.FileNotFoundException;
import java.net.ConnectException;
import java.net.UnknownHostException;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.UnsupportedFileSystemException;
import org.apache.hadoop.util.VersionInfo;

/** What the driver knows of the file systems that it reads headers from. */
final class Stores {
  /**
   * Limits of retries for the driver. With Hadoop's own limits, an object store that is down takes
   * minutes to be reported. Executors keep the limits of Hadoop, because they have work to lose.
   */
  private static final Map<String, String> RETRIES =
      Map.of(
          "fs.s3a.retry.limit", "3",
          "fs.s3a.retry.throttle.limit", "6",
          "fs.s3a.attempts.maximum", "3",
          "fs.azure.io.retry.max.retries", "3");

  private static final String DEFAULTS = "core-default.xml";

  /** The modules of Hadoop with the file systems of object stores, by scheme. */
  private static final Map<String, String> MODULES =
      Map.of("s3a", "hadoop-aws", "abfs", "hadoop-azure", "abfss", "hadoop-azure");

  private static final Pattern STATUS = Pattern.compile("(?i)status code: (5\\d\\d)");

  private Stores() {}

  /** Returns a copy of a configuration with fewer retries, except where the user set a limit. */
  static Configuration impatient(Configuration configuration) {
    Configuration own = new Configuration(configuration);
    RETRIES.forEach(
        (name, limit) -> {
          String[] sources = configuration.getPropertySources(name);
          if (sources == null || sources[sources.length - 1].equals(DEFAULTS)) {
            own.set(name, limit);
          }
        });
    return own;
  }

  /** Returns in one line why a location cannot be read, and what to do. */
  static String problem(String location, Exception failure) {
    if (failure instanceof FileNotFoundException) {
      return "no such file or directory";
    }
    if (hasCause(
        failure, Set.of(UnsupportedFileSystemException.class, ClassNotFoundException.class))) {
      String scheme = String.valueOf(new Path(location).toUri().getScheme());
      String module = MODULES.get(scheme);
      return "Spark has no file system for "
          + scheme
          + ":// ("
          + Reasons.line(failure)
          + "); "
          + (module == null
              ? "add its jar with spark.jars or spark.jars.packages"
              : "add spark.jars.packages=org.apache.hadoop:" + module + ":" + hadoopVersion());
    }
    String reason = Reasons.line(failure);
    if (hasCause(failure, Set.of(ConnectException.class, UnknownHostException.class))) {
      return "the server does not answer (" + reason + "); check its address";
    }
    Matcher status = STATUS.matcher(reason);
    return status.find()
        ? "the server failed with status " + status.group(1) + " (" + reason + "); try again later"
        : "cannot be read: " + reason + "; check path and credentials";
  }

  /** Returns whether a failure or one of its causes is of these classes. */
  private static boolean hasCause(Throwable failure, Set<Class<? extends Exception>> classes) {
    return Stream.iterate(failure, Objects::nonNull, Throwable::getCause)
        .anyMatch(cause -> classes.stream().anyMatch(type -> type.isInstance(cause)));
  }

  /** Returns the version of Hadoop that Spark brings, which its file systems must have. */
  static String hadoopVersion() {
    return VersionInfo.getVersion();
  }
}
