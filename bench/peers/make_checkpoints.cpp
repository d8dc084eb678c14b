// The program that the script make_checkpoints builds and runs.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
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

struct Model {
  const char* size;
  int layers;
  int64_t hidden;
  int64_t inner;
  int64_t keys;
  int64_t vocabulary;
  bool has_head;
};

// The shapes of Qwen2.5 of three sizes, and of a smaller model.
constexpr Model kModels[] = {{"0.1B", 12, 512, 2048, 128, 50000, false},
                             {"0.5B", 24, 896, 4864, 128, 151936, false},
                             {"1.5B", 28, 1536, 8960, 256, 151936, false},
                             {"7B", 28, 3584, 18944, 512, 152064, true}};

// Returns the matrices of a model; none if there is no such size.
std::vector<Tensor> model_tensors(const std::string& size) {
  std::vector<Tensor> list;
  for (const Model& model : kModels) {
    if (size != model.size) {
      continue;
    }
    // The layers come first, so that a checkpoint may end with holes.
    for (int layer = 0; layer < model.layers; ++layer) {
      const std::string prefix = "model.layers." + std::to_string(layer) + ".";
      for (const Tensor& part :
           {Tensor{"self_attn.q_proj", model.hidden, model.hidden}, Tensor{"self_attn.k_proj", model.keys, model.hidden},
            Tensor{"self_attn.v_proj", model.keys, model.hidden}, Tensor{"self_attn.o_proj", model.hidden, model.hidden},
            Tensor{"mlp.gate_proj", model.inner, model.hidden}, Tensor{"mlp.up_proj", model.inner, model.hidden},
            Tensor{"mlp.down_proj", model.hidden, model.inner}}) {
        list.push_back({prefix + part.name + ".weight", part.rows, part.columns});
      }
    }
    list.push_back({"model.embed_tokens.weight", model.vocabulary, model.hidden});
    if (model.has_head) {
      list.push_back({"lm_head.weight", model.vocabulary, model.hidden});
    }
  }
  return list;
}

// Writes one checkpoint: run 0 is the base, and each other run has other changes. What follows the first `most` entries is a
// hole, which takes no disk.
void write(const std::string& directory, const std::vector<Tensor>& list, uint64_t run, int64_t most = INT64_MAX) {
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
  for (int64_t left = std::min(offset / 2, most); left > 0;) {
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
  std::fflush(file);
  if (ftruncate(fileno(file), static_cast<off_t>(sizeof(length) + length) + offset) != 0) {
    std::perror("ftruncate");
    std::exit(1);
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
  const std::vector<Tensor> list = equal       ? equal_tensors(count, rows, columns)
                                   : argc >= 4 ? model_tensors(argv[2])
                                               : std::vector<Tensor>{};
  if (!list.empty()) {
    const int layers = argc == 5 ? std::atoi(argv[4]) : 0;
    int64_t most = layers > 0 ? 0 : INT64_MAX;
    for (int i = 0; i < 7 * layers; ++i) {
      most += list[static_cast<size_t>(i)].rows * list[static_cast<size_t>(i)].columns;
    }
    for (int run = 0; run <= std::atoi(argv[3]); ++run) {
      const std::string name = run == 0 ? "/base" : "/run-" + std::to_string(run);
      write(argv[1] + name, list, static_cast<uint64_t>(run), most);
    }
    return 0;
  }
  std::fprintf(stderr, "usage: make_checkpoints DIR GB | DIR COUNTxROWSxCOLUMNS RUNS | DIR 0.1B|0.5B|1.5B|7B RUNS [LAYERS]\n");
  return 2;
}
