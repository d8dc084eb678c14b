package org.threegate.rl.study;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.threegate.file.AtomicFiles;

/** The models that come with the study. */
enum Base {
  /** The model that {@link BaseModel#pretrain} makes. */
  OWN("base"),

  /**
   * The same architecture and recipe in an independent implementation, with other initial weights
   * and texts.
   */
  OTHER("other");

  /** The files of a model directory other than the weights. */
  static final List<String> DESCRIPTION = List.of("config.json", "tokenizer.json");

  private static final String WEIGHTS = "model.safetensors";

  private final String directory;

  Base(String directory) {
    this.directory = directory;
  }

  /** Returns the name of the directory of the model. */
  String directory() {
    return directory;
  }

  /** Writes the model to a Hugging Face directory. */
  void extract(Path to) throws IOException {
    describe(to);
    copy(WEIGHTS, to);
  }

  /** Writes the files of a model directory other than the weights. */
  void describe(Path to) throws IOException {
    Files.createDirectories(to);
    for (String file : DESCRIPTION) {
      copy(file, to);
    }
  }

  private void copy(String file, Path to) throws IOException {
    try (InputStream in = Base.class.getResourceAsStream(directory + "/" + file)) {
      ByteBuffer bytes = ByteBuffer.wrap(in.readAllBytes());
      AtomicFiles.write(
          to.resolve(file),
          out -> {
            while (bytes.hasRemaining()) {
              out.write(bytes);
            }
          });
    }
  }
}
