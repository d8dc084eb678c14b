package org.threegate.rl.run;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.threegate.rl.task.ProblemFile;

/**
 * What must be the same when a run is resumed: the configuration, and the contents of the files
 * that it names. Paths and times are no part of it, so that a run may move to another directory or
 * machine. Each line is a name, a colon and a value.
 */
final class RunIdentity {
  private static final int PIECE = 1 << 20; // bytes

  /** Endings of the files in the directory of a model that have a part in what it computes. */
  private static final List<String> OF_MODEL =
      List.of(".safetensors", ".json", ".jinja", ".bin", ".pt", ".pth", ".model", ".txt");

  private RunIdentity() {}

  static String of(TrainingConfig config) throws IOException {
    StringBuilder text = new StringBuilder(TrainingConfigs.identity(config));
    Path model = config.modelDirectory();
    if (Files.isDirectory(model)) {
      try (Stream<Path> files = Files.list(model)) {
        for (Path file : files.sorted().toList()) {
          String name = file.getFileName().toString();
          if (Files.isRegularFile(file) && OF_MODEL.stream().anyMatch(name::endsWith)) {
            line(text, "model_name_or_path/" + name, file);
          }
        }
      }
    }
    problems(text, "train_dataset", config.data().trainDataset());
    problems(text, "eval_dataset", config.data().evalDataset());
    Optional<Path> mask = config.optimization().weightMask();
    if (mask.isPresent()) {
      line(text, "weight_mask", mask.get());
    }
    return text.toString();
  }

  private static void problems(StringBuilder text, String key, Optional<Path> path)
      throws IOException {
    if (path.isPresent()) {
      List<Path> files = ProblemFile.files(path.get());
      for (int i = 0; i < files.size(); i++) {
        line(text, files.size() == 1 ? key : key + "/" + (i + 1), files.get(i));
      }
    }
  }

  private static void line(StringBuilder text, String name, Path file) throws IOException {
    text.append(name).append(": sha256 ").append(digest(file)).append('\n');
  }

  private static String digest(Path file) throws IOException {
    MessageDigest digest;
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
    byte[] piece = new byte[PIECE];
    try (InputStream in = Files.newInputStream(file)) {
      for (int read = in.read(piece); read >= 0; read = in.read(piece)) {
        digest.update(piece, 0, read);
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }
}
