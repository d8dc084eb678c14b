package org.threegate.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.ConnectException;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.junit.jupiter.api.Test;

/** Tests how failures of file systems are reported. */
class StoresTest {
  private static final Pattern MODULE = Pattern.compile("org\\.apache\\.hadoop:[a-z-]+:([0-9.]+)");

  /** Returns the failure of opening a location. */
  private static Exception failure(String location) {
    try {
      FileSystem.newInstance(new org.apache.hadoop.fs.Path(location).toUri(), new Configuration())
          .close();
    } catch (IOException | RuntimeException e) {
      return e;
    }
    throw new AssertionError(location);
  }

  @Test
  void aMissingFileSystemNamesThePackageToAdd() {
    assertThat(Stores.problem("s3a://lab/base", failure("s3a://lab/base")))
        .startsWith("Spark has no file system for s3a:// (")
        .endsWith(
            "; add spark.jars.packages=org.apache.hadoop:hadoop-aws:" + Stores.hadoopVersion());
    assertThat(Stores.problem("nosuch://lab/base", failure("nosuch://lab/base")))
        .startsWith("Spark has no file system for nosuch:// (")
        .endsWith("; add its jar with spark.jars or spark.jars.packages");
  }

  @Test
  void thePageNamesTheVersionOfHadoopThatSparkBrings() throws IOException {
    Path page = Path.of(System.getProperty("threegate.root"), "docs", "spark.md");
    Matcher named = MODULE.matcher(Files.readString(page));
    int count = 0;
    for (; named.find(); count++) {
      assertThat(named.group(1)).isEqualTo(Stores.hadoopVersion());
    }
    assertThat(count).isPositive();
  }

  @Test
  void aServerThatFailsIsNotAskedForCredentials() {
    String message =
        "getFileStatus on s3a://lab/base: (Service: S3, Status Code: %d, Request ID: 7)";
    assertThat(Stores.problem("s3a://lab/base", new IOException(message.formatted(500))))
        .startsWith("the server failed with status 500 (IOException: getFileStatus")
        .endsWith("; try again later");
    assertThat(Stores.problem("s3a://lab/base", new IOException(message.formatted(403))))
        .startsWith("cannot be read: ")
        .endsWith("; check path and credentials");
  }

  @Test
  void aServerThatDoesNotAnswerIsNotAskedForCredentials() {
    ConnectException refused = new ConnectException("getFileStatus on s3a://lab/base: refused");
    assertThat(Stores.problem("s3a://lab/base", refused))
        .isEqualTo(
            "the server does not answer (ConnectException: getFileStatus on s3a://lab/base:"
                + " refused); check its address");
    assertThat(Stores.problem("s3a://lab/base", new IOException(new UnknownHostException("lab"))))
        .startsWith("the server does not answer (")
        .endsWith("; check its address");
  }

  @Test
  void theUserMaySetTheRetries() {
    Configuration configuration = new Configuration();
    int usual = configuration.getInt("fs.s3a.attempts.maximum", 0);
    configuration.set("fs.s3a.retry.limit", "9");
    Configuration own = Stores.impatient(configuration);
    assertThat(own.getInt("fs.s3a.retry.limit", 0)).isEqualTo(9);
    assertThat(own.getInt("fs.s3a.attempts.maximum", 0)).isPositive().isLessThan(usual);
    assertThat(configuration.getInt("fs.s3a.attempts.maximum", 0)).isEqualTo(usual);
  }
}
