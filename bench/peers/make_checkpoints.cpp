// The program that the script make_checkpoints builds and runs.
#include <sys/stat.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

struct Tensor {
  std::string name;
  int64_t rows;
  int64_t columns;
};

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// Returns a roughly Gaussian number (the sum of four uniform ones) with standard deviation 0.02 as bf16.
uint16_t weight(uint64_t random) {
  float sum = 0;
  for (int i = 0; i < 4; ++i) {
    sum += static_cast<float>((random >> (16 * i)) & 0xffff) / 65536.0F - 0.5F;
  }
  const float value = sum * 0.0346F;
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

std::vector<Tensor> tensors(double gigabytes) {
  std::vector<Tensor> list{{"model.embed_tokens.weight", 151936, 1536}};
  int64_t bytes = 2 * 151936 * 1536;
  if (gigabytes < 1) {
    list = {{"model.embed_tokens.weight", 8192, 1536}};
    bytes = 2 * 8192 * 1536;
  }
  for (int layer = 0; layer < 28 && static_cast<double>(bytes) < gigabytes * 1e9; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    for (const Tensor& part :
         {Tensor{"self_attn.q_proj", 1536, 1536}, Tensor{"self_attn.k_proj", 256, 1536}, Tensor{"self_attn.v_proj", 256, 1536},
          Tensor{"self_attn.o_proj", 1536, 1536}, Tensor{"mlp.gate_proj", 8960, 1536}, Tensor{"mlp.up_proj", 8960, 1536},
          Tensor{"mlp.down_proj", 1536, 8960}}) {
      list.push_back({prefix + part.name + ".weight", part.rows, part.columns});
      bytes += 2 * part.rows * part.columns;
    }
  }
  return list;
}

// Returns `count` matrices of one shape, of which each layer has seven.
std::vector<Tensor> equal_tensors(int count, int64_t rows, int64_t columns) {
  const std::vector<std::string> parts{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                                       "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
  std::vector<Tensor> list;
  for (int i = 0; i < count; ++i) {
    const auto layer = static_cast<size_t>(i) / parts.size();
    list.push_back({"model.layers." + std::to_string(layer) + "." + parts[static_cast<size_t>(i) % parts.size()] + ".weight",
                    rows, columns});
  }
  return list;
}

// The matrices of Qwen2.5 with so many billion parameters. The embedding is shared with the head below 7B.
std::vector<Tensor> model_tensors(const std::string& size) {
  const bool small = size == "0.5B";
  const bool large = size == "7B";
  const int64_t hidden = small ? 896 : large ? 3584 : 1536;
  const int64_t inner = small ? 4864 : large ? 18944 : 8960;
  const int64_t keys = small ? 128 : large ? 512 : 256;
  const int layers = small ? 24 : 28;
  std::vector<Tensor> list{{"model.embed_tokens.weight", large ? 152064 : 151936, hidden}};
  for (int layer = 0; layer < layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    for (const Tensor& part :
         {Tensor{"self_attn.q_proj", hidden, hidden}, Tensor{"self_attn.k_proj", keys, hidden},
          Tensor{"self_attn.v_proj", keys, hidden}, Tensor{"self_attn.o_proj", hidden, hidden},
          Tensor{"mlp.gate_proj", inner, hidden}, Tensor{"mlp.up_proj", inner, hidden}, Tensor{"mlp.down_proj", hidden, inner}}) {
      list.push_back({prefix + part.name + ".weight", part.rows, part.columns});
    }
  }
  if (large) {
    list.push_back({"lm_head.weight", 152064, hidden});
  }
  return list;
}

// Writes one checkpoint: run 0 is the base, and each other run has other changes.
void write(const std::string& directory, const std::vector<Tensor>& list, uint64_t run) {
  mkdir(directory.c_str(), 0777);
  std::string header = "{";
  int64_t offset = 0;
  for (const Tensor& tensor : list) {
    const int64_t bytes = 2 * tensor.rows * tensor.columns;
    header += (header.size() > 1 ? "," : "") + ("\"" + tensor.name) + "\":{\"dtype\":\"BF16\",\"shape\":[" +
              std::to_string(tensor.rows) + "," + std::to_string(tensor.columns) + "],\"data_offsets\":[" +
              std::to_string(offset) + "," + std::to_string(offset + bytes) + "]}";
    offset += bytes;
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  FILE* file = std::fopen((directory + "/model.safetensors").c_str(), "wb");
  if (file == nullptr) {
    std::perror(directory.c_str());
    std::exit(1);
  }
  const uint64_t length = header.size();
  std::fwrite(&length, sizeof(length), 1, file);
  std::fwrite(header.data(), 1, header.size(), file);
  std::vector<uint16_t> buffer(1 << 20);
  uint64_t index = 0;
  for (int64_t left = offset / 2; left > 0;) {
    const auto count =
        static_cast<size_t>(left < static_cast<int64_t>(buffer.size()) ? left : static_cast<int64_t>(buffer.size()));
    for (size_t i = 0; i < count; ++i, ++index) {
      const uint64_t random = mix(index);
      buffer[i] = weight(random);
      // Runs agree in some of their changes: half of those of a run are drawn with the base alone.
      const uint64_t change = mix(random ^ (run > 1 && index % 2 == 1 ? run : 0));
      if (run > 0 && change % 100 == 0) {
        buffer[i] = static_cast<uint16_t>(buffer[i] + 1);
      }
    }
    if (std::fwrite(buffer.data(), 2, count, file) != count) {
      std::perror("write");
      std::exit(1);
    }
    left -= static_cast<int64_t>(count);
  }
  std::fclose(file);
  file = std::fopen((directory + "/config.json").c_str(), "wb");
  std::fputs(
      "{\"model_type\":\"qwen2\",\"num_attention_heads\":12,\"num_key_value_heads\":2,\"hidden_size\":1536,\"num_hidden_layers\":"
      "28}",
      file);
  std::fclose(file);
}

}  // namespace

int main(int argc, char** argv) {
  int count = 0;
  int rows = 0;
  int columns = 0;
  if (argc == 3) {
    const std::vector<Tensor> list = tensors(std::atof(argv[2]));
    write(std::string(argv[1]) + "/base", list, 0);
    write(std::string(argv[1]) + "/tuned", list, 1);
    return 0;
  }
  const bool equal = argc == 4 && std::sscanf(argv[2], "%dx%dx%d", &count, &rows, &columns) == 3;
  const std::string size = argc == 4 ? argv[2] : "";
  if (equal || size == "0.5B" || size == "1.5B" || size == "7B") {
    const std::vector<Tensor> list = equal ? equal_tensors(count, rows, columns) : model_tensors(size);
    write(std::string(argv[1]) + "/base", list, 0);
    for (int run = 1; run <= std::atoi(argv[3]); ++run) {
      write(std::string(argv[1]) + "/run-" + std::to_string(run), list, static_cast<uint64_t>(run));
    }
    return 0;
  }
  std::fprintf(stderr, "usage: make_checkpoints DIR GB | DIR COUNTxROWSxCOLUMNS RUNS | DIR 0.5B|1.5B|7B RUNS\n");
  return 2;
}
