package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The script of docs/curvature.md, on a tiny random model of transformers: what it captures gives
 * back the gradient of every weight. Skipped, by name, where $PYTHON has no transformers.
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

  private String run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String out = new String(process.getInputStream().readAllBytes());
    return process.waitFor() == 0 ? "ok " + out : out;
  }

  @Test
  void capturesGiveBackTheGradients() throws IOException, InterruptedException {
    String python = System.getenv().getOrDefault("PYTHON", "python3");
    boolean there;
    try {
      there = run(python, "-c", "import torch, transformers, safetensors").startsWith("ok");
    } catch (IOException e) {
      there = false;
    }
    if (!there) {
      System.out.println("SKIPPED, because " + python + " has no torch, transformers, safetensors");
    }
    Assumptions.assumeTrue(there, python + " has no torch, transformers and safetensors");
    Path script = Files.writeString(directory.resolve("check.py"), CHECK);
    String docs = Path.of(System.getProperty("threegate.root")).resolve("docs").toString();
    assertThat(run(python, script.toString(), docs)).startsWith("ok").contains("the same");
  }
}
