package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.testing.DocumentedProgram;

/** Tests that memory of other libraries is used without a copy, as the documentation says. */
@Tag("binding")
class SharedMemoryTest {
  @TempDir Path classes;

  @Test
  void theDocumentedProgramSharesMemory() throws Exception {
    assertThat(DocumentedProgram.runNamed("SharedMemory", "docs/embedding.md", classes))
        .isEqualToIgnoringNewLines("0 changed\n0 changed\n0 changed\nthe tensor's sum is 1.0\n");
  }
}
