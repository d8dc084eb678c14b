package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Verifies that libraries, which other programs may use, name no command-line options. */
class LibraryMessagesTest {
  private static final Pattern OPTION = Pattern.compile("\"(?:[^\"\\\\\n]|\\\\.)*?--[a-z]");

  /** A message that is allowed, because it names an option of the JVM. */
  private static final String OF_JAVA = "start java with --enable-native-access";

  @Test
  void librariesNameNoOptions() throws IOException {
    List<String> found = new ArrayList<>();
    int files = 0;
    try (Stream<Path> all = Files.walk(Path.of(System.getProperty("threegate.root"), "java"))) {
      for (Path file : all.filter(LibraryMessagesTest::isLibrary).toList()) {
        files++;
        String text = Files.readString(file).replace(OF_JAVA, "");
        Matcher option = OPTION.matcher(text);
        while (option.find()) {
          found.add(file.getFileName() + ": " + option.group());
        }
      }
    }
    assertThat(files).isGreaterThan(100);
    assertThat(found).isEmpty();
  }

  private static boolean isLibrary(Path file) {
    String path = file.toString();
    return path.endsWith(".java")
        && path.contains("/src/main/java/")
        && !path.contains("/java/cli/")
        && !path.contains("/java/testing/");
  }
}
