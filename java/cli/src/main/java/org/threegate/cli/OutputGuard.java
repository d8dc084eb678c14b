package org.threegate.cli;

import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Field;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemNotFoundException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.threegate.file.AtomicFiles;
import org.threegate.report.ConsensusDirectory;
import org.threegate.report.CurvatureDirectory;
import org.threegate.report.ReportDirectory;
import org.threegate.report.StudyDirectory;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;

/**
 * Checks the outputs of all commands before they run. An output must not be an input, lie inside
 * one or contain one. It must not replace files that Threegate did not write.
 */
final class OutputGuard {
  /** Results that are written last. A directory that has one of them holds results. */
  private static final List<String> RESULTS =
      List.of(
          ReportDirectory.JSON,
          ConsensusDirectory.JSON,
          CurvatureDirectory.JSON,
          StudyDirectory.JSON,
          "metrics.jsonl");

  /** Files that may be the only ones that a killed run leaves. */
  private static final Set<String> FIRST =
      Set.of(ConsensusDirectory.HTML, CurvatureDirectory.HTML, StudyDirectory.HTML);

  private static final int HEAD =
      1 << 16; // bytes at the beginning that identify the kind of a file

  private OutputGuard() {}

  /** Checks the outputs of a command line against its inputs. */
  static void check(CommandSpec command) {
    List<Path> inputs = new ArrayList<>();
    for (ArgSpec argument : command.args()) {
      if (annotation(argument, Input.class).isPresent()) {
        inputs.addAll(paths(argument));
      }
    }
    for (ArgSpec argument : command.args()) {
      annotation(argument, Output.class)
          .ifPresent(
              output -> paths(argument).forEach(path -> check(path, output.value(), inputs)));
    }
  }

  /** Returns the annotation of an argument, if it has one. */
  static <A extends java.lang.annotation.Annotation> Optional<A> annotation(
      ArgSpec argument, Class<A> type) {
    return argument.userObject() instanceof Field field
        ? Optional.ofNullable(field.getAnnotation(type))
        : Optional.empty();
  }

  private static List<Path> paths(ArgSpec argument) {
    List<Path> paths = new ArrayList<>();
    add(paths, argument.getValue());
    return paths;
  }

  private static void add(List<Path> paths, Object value) {
    if (value instanceof Path path) {
      paths.add(path);
    } else if (value instanceof String location) {
      paths.addAll(local(location));
    } else if (value instanceof Optional<?> optional) {
      optional.ifPresent(one -> add(paths, one));
    } else if (value instanceof Collection<?> several) {
      several.forEach(one -> add(paths, one));
    }
  }

  /** Returns the local paths that a location may stand for. Locations on clusters are URIs. */
  private static List<Path> local(String location) {
    List<Path> paths = new ArrayList<>(List.of(path(location, "")));
    if (location.startsWith("file:")) {
      try {
        paths.add(Path.of(URI.create(location)));
      } catch (IllegalArgumentException | FileSystemNotFoundException e) {
        return paths; // on another machine
      }
    }
    return paths;
  }

  /**
   * Returns a text as a path.
   *
   * @param where prefix of the error message
   */
  static Path path(String text, String where) {
    try {
      return Path.of(text);
    } catch (InvalidPathException e) {
      throw new InvalidInputException(
          where
              + "\""
              + text
              + "\" is not a valid path: "
              + e.getReason().toLowerCase(java.util.Locale.ROOT),
          e);
    }
  }

  /**
   * Checks an output against the inputs and against existing files.
   *
   * @throws InvalidInputException if the output must not be written
   */
  static void check(Path out, Output.Kind kind, List<Path> inputs) {
    if (out.toAbsolutePath().normalize().getFileName() == null) {
      throw new InvalidInputException(
          out + ": is the root of a file system; choose a directory in it");
    }
    checkWhatIsThere(out, kind);
    inputs.forEach(input -> checkApart(out, input));
    if (kind == Output.Kind.RESULTS && Files.isDirectory(out) && !isOurs(out)) {
      throw new InvalidInputException(
          out
              + ": is a directory that holds files other than results of Threegate; choose a new or an"
              + " empty one");
    }
  }

  private static void checkWhatIsThere(Path out, Output.Kind kind) {
    if (!Files.exists(out, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    switch (kind) {
      case NEW -> throw new InvalidInputException(out + ": exists already; choose a new path");
      case MASK -> checkFile(out, "threegate-mask", "mask");
      case CAPTURE -> checkFile(out, "\"fisher\"", "capture");
      case RESULTS -> {
        if (!Files.isDirectory(out)) {
          throw new InvalidInputException(out + ": is a file; choose a directory");
        }
        if (!Files.isWritable(out)) {
          throw new InvalidInputException(out + ": cannot be written to; choose another directory");
        }
      }
      case IN_PLACE -> {
        // The command that changes a model checks it.
      }
    }
  }

  private static void checkFile(Path out, String sign, String what) {
    if (Files.isDirectory(out)) {
      throw new InvalidInputException(out + ": is a directory; choose a file");
    }
    if (!Files.isRegularFile(out, LinkOption.NOFOLLOW_LINKS) || !head(out).contains(sign)) {
      throw new InvalidInputException(
          out + ": exists already, and is not a " + what + "; choose another file");
    }
  }

  private static void checkApart(Path out, Path input) {
    if (!Files.exists(input)) {
      return; // the command reports this when it reads the input
    }
    for (Path place : places(out)) {
      for (Path above = place; above != null; above = above.getParent()) {
        if (isSame(above, input)
            || isIndex(input) && isSame(above, input.toAbsolutePath().getParent())) {
          throw new InvalidInputException(
              out
                  + (above.equals(place) ? ": is " : ": lies in ")
                  + input
                  + ", which is an input; choose another path");
        }
      }
    }
    for (Path place : places(input)) {
      for (Path above = place; above != null; above = above.getParent()) {
        if (isSame(above, out)) {
          throw new InvalidInputException(
              out + ": contains " + input + ", which is an input; choose another path");
        }
      }
    }
    if (Files.isRegularFile(out) && Files.isDirectory(input)) {
      checkLinks(out, input);
    }
  }

  /** Checks that an output file is not a hard link to a file of an input. */
  private static void checkLinks(Path out, Path input) {
    for (Path file : list(input)) {
      if (isSame(file, out)) {
        throw new InvalidInputException(
            out + ": is a link to " + file + ", which is an input; choose another path");
      }
    }
  }

  /** Returns whether an input is an index. Its shards are in the same directory. */
  private static boolean isIndex(Path input) {
    return input.toString().endsWith(".index.json");
  }

  /** Returns the places a path may lead to: with links followed, and as it is spelled. */
  private static List<Path> places(Path path) {
    Path absolute = path.toAbsolutePath();
    return List.of(real(absolute), real(absolute.normalize()), beside(absolute.normalize()));
  }

  /** Follows all links of the part of a path that exists. */
  private static Path real(Path absolute) {
    for (Path there = absolute; there != null; there = there.getParent()) {
      try {
        return there.toRealPath().resolve(there.relativize(absolute)).normalize();
      } catch (IOException e) {
        continue; // does not exist
      }
    }
    return absolute;
  }

  /** Follows all links but that of the last name. */
  private static Path beside(Path absolute) {
    Path parent = absolute.getParent();
    return parent == null ? absolute : real(parent).resolve(absolute.getFileName());
  }

  private static boolean isSame(Path one, Path other) {
    try {
      return Files.isSameFile(one, other);
    } catch (IOException e) {
      return false; // one of them does not exist
    }
  }

  private static List<Path> list(Path directory) {
    try {
      return AtomicFiles.list(directory);
    } catch (IOException e) {
      throw new InvalidInputException(directory + ": cannot be listed: " + e.getMessage(), e);
    }
  }

  private static boolean isOurs(Path directory) {
    if (Files.isRegularFile(directory.resolve(OutputPath.MARK))) {
      return true;
    }
    for (String name : RESULTS) {
      Path file = directory.resolve(name);
      if (Files.isRegularFile(file)) {
        String head = head(file);
        if (head.startsWith("{") && (head.contains("\"schema\"") || head.contains("\"step\""))) {
          return true;
        }
      }
    }
    Path journal = directory.resolve("journal"); // of a study that another program began
    if (Files.isRegularFile(journal) && head(journal).startsWith("study ")) {
      return true;
    }
    return list(directory).stream().allMatch(file -> isLeftBehind(file.getFileName().toString()));
  }

  private static boolean isLeftBehind(String name) {
    return FIRST.contains(name)
        || name.startsWith(".") && (name.startsWith(".partial-") || name.endsWith(".lock"));
  }

  private static String head(Path file) {
    try (InputStream in = Files.newInputStream(file)) {
      return new String(in.readNBytes(HEAD), StandardCharsets.UTF_8);
    } catch (IOException e) {
      return "";
    }
  }
}
