package org.threegate.binding.generator;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A generated file.
 *
 * @param path relative to the output directory, with slashes
 * @param text content of the file
 */
record SourceFile(String path, String text) {
  /** A Java file with one top-level type. */
  static SourceFile java(String javaPackage, String type, String code) {
    return new SourceFile(
        javaPackage.replace('.', '/') + "/" + type + ".java",
        "// Generated from threegate.h; do not edit.\npackage " + javaPackage + ";\n\n" + code);
  }

  /** Writes the file only if its content changed, to avoid needless recompilation. */
  void writeTo(Path directory) throws IOException {
    Path file = directory.resolve(path);
    if (!Files.exists(file) || !Files.readString(file).equals(text)) {
      Files.createDirectories(file.getParent());
      Files.writeString(file, text);
    }
  }
}
