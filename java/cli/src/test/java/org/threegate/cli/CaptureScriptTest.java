package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Tests the script of docs/curvature.md on a tiny random model of transformers. The gradient of
 * every weight must follow from what the script captures. Prints SKIPPED if $PYTHON has no
 * transformers.
 */
class CaptureScriptTest {
  private static final String CHECK =
      """
      import sys
      sys.path.insert(0, sys.argv[1])
      import torch
      from capture_curvature import capture
      from transformers import LlamaConfig, LlamaForCausalLM
      torch.manual_seed(1)
      model = LlamaForCausalLM(LlamaConfig(vocab_size=17, hidden_size=8, intermediate_size=12, num_hidden_layers=2,
                                           num_attention_heads=2, num_key_value_heads=1))
      sequences = [torch.randint(17, (length,)) for length in (4, 6)]
      found = capture(model, sequences, ["q_proj", "down_proj"], empirical=True)
      assert len(found) == 12, sorted(found)
      for tokens in sequences:
          log_probabilities = torch.log_softmax(model(tokens[None, :-1]).logits[0], -1)
          log_probabilities.gather(1, tokens[1:, None]).sum().backward()
      for name, weight in model.named_parameters():
          layer = name.removesuffix(".weight")
          if layer + ".input" in found:
              x, g, s = (found[layer + part] for part in (".input", ".grad_output", ".sequence"))
              assert x.shape[0] == g.shape[0] == s.shape[0] == 8 and s.tolist() == [0] * 3 + [1] * 5
              assert torch.allclose(g.T @ x, weight.grad, atol=1e-5), name
      sampled = capture(model, sequences, ["q_proj"])
      assert sampled["model.layers.0.self_attn.q_proj.input"].shape == (8, 8)
      print("the same")
      """;

  @TempDir Path directory;

  @Test
  void capturesGiveBackTheGradients() throws IOException, InterruptedException {
    Python python = Python.require("torch, transformers, safetensors");
    Path script = Files.writeString(directory.resolve("check.py"), CHECK);
    Path docs = Path.of(System.getProperty("threegate.root")).resolve("docs");
    assertThat(python.output(script, docs)).contains("the same");
  }
}
