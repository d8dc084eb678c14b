package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.kernel.Context;

class ModelCopyTest {
  @TempDir Path directory;

  @Test
  void aCopyHasAllThatATokenizerNeeds() throws IOException {
    Path model = Files.createDirectories(directory.resolve("model"));
    new SafetensorsWriter()
        .tensor("a.weight", TensorType.F32, List.of(1L, 1L), new byte[4])
        .write(model.resolve("model.safetensors"));
    List<String> kept =
        List.of(
            "config.json",
            "vocab.json",
            "chat_template.jinja",
            "tokenizer.model",
            "tokenizer.model.v3",
            "sentencepiece.bpe.model",
            "merges.txt",
            "vocab.txt",
            "qwen.tiktoken",
            "tokenization_qwen.py",
            "bpe.codes",
            "source.spm");
    List<String> left = List.of("pytorch_model.bin", "optimizer.pt", ".hidden.json", "model.gguf");
    for (String name : kept) {
      Files.writeString(model.resolve(name), "{}");
    }
    for (String name : left) {
      Files.writeString(model.resolve(name), "weights");
    }
    Path copy = directory.resolve("copy");
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint checkpoint = Checkpoint.open(context, model.resolve("model.safetensors"))) {
      ModelCopy.write(checkpoint, Map.of(), copy);
    }
    assertThat(copy).isDirectoryContaining("glob:**model.safetensors");
    kept.forEach(name -> assertThat(copy.resolve(name)).hasContent("{}"));
    left.forEach(name -> assertThat(copy.resolve(name)).doesNotExist());
  }
}
