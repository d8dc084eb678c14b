package org.threegate.binding.jni;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfEnvironmentVariable;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.threegate.testing.LoadingContract;

@DisabledIfSystemProperty(named = "threegate.binding", matches = "ffm")
@DisabledIfSystemProperty(named = "threegate.test.device", matches = "CUDA")
@DisabledIfEnvironmentVariable(named = "THREEGATE_SIMD", matches = ".+")
class JniLoadingTest extends LoadingContract {
  @Override
  protected String binding() {
    return "jni";
  }

  @Test
  void aDirectoryWithoutTheShimIsRefused() throws Exception {
    Path given = Files.createDirectory(directory.resolve("given"));
    Files.createFile(given.resolve("libthreegate.so.1"));
    requireRefused(
        child("-Dthreegate.library.path=" + given).run(),
        given.toString(),
        "no libjnithreegate.so",
        "threegate-binding-jni");
  }

  @Test
  void aMissingJavaCppIsNamed() throws Exception {
    requireRefused(child().without("javacpp").run(), "jni: ", "org.bytedeco:javacpp");
  }
}
