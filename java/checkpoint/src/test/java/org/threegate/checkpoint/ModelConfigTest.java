package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.run.InvalidInputException;

@Timeout(60)
class ModelConfigTest {
  @TempDir Path directory;

  /**
   * A model whose configuration cannot be read must not be treated as one without a configuration.
   */
  @Test
  void passesOverNoConfigurationThatCannotBeRead() throws IOException {
    Path config = directory.resolve("config.json");
    assertThat(ModelConfig.read(directory)).isEmpty();
    for (String target : new String[] {"/dev/zero", "nowhere", "."}) {
      Files.createSymbolicLink(config, Path.of(target));
      assertThatThrownBy(() -> ModelConfig.read(directory))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("config.json: ");
      Files.delete(config);
    }
  }
}
