package org.threegate.checkpoint.adapter;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongBinaryOperator;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.weight.DoubleRows;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Remedy;

/** The tensors of an open adapter by what they are, and the products of its factors. */
final class AdapterFile implements AutoCloseable {
  private static final String OLD_WEIGHTS = "adapter_model.bin";
  private static final long MOST_ENTRIES = 1L << 27; // of a factor that is copied or converted

  private final Checkpoint weights;
  private final Context context;
  private final Settings settings;
  private final Map<Module, Map<String, Tensor>> modules = new LinkedHashMap<>();
  private final Map<String, Tensor> replaced = new LinkedHashMap<>();
  private final Map<Tensor, String> copies = new LinkedHashMap<>();
  private final Map<String, List<Operand.LowRank>> updates = new LinkedHashMap<>();
  private final Map<String, List<Operand.LowRank>> embeddings = new LinkedHashMap<>();
  private final List<NativeBuffer> derived = new ArrayList<>();
  private Optional<AdapterFile> before = Optional.empty();

  /**
   * A module with stored tensors.
   *
   * @param name name of the module in the model
   * @param depth number of wrappers around the module that are nested in this one
   */
  record Module(String name, int depth) {}

  private AdapterFile(Context context, Checkpoint weights, Settings settings) {
    this.context = context;
    this.weights = weights;
    this.settings = settings;
  }

  /** Opens an adapter, and subtracts the one before training, if there is one, from it. */
  static AdapterFile open(Context context, Path path, List<Path> initial) {
    AdapterFile adapter = openOne(context, path);
    try {
      if (adapter.settings.movesBase() && initial.isEmpty()) {
        throw new InvalidInputException(
            path
                + ": initialised by "
                + adapter.settings.initialisation()
                + ", so its update is s(BA - B0A0)",
            Remedy.NAME_INITIAL_ADAPTER);
      }
      initial.forEach(adapter::subtract);
      return adapter;
    } catch (RuntimeException e) {
      adapter.close();
      throw e;
    }
  }

  private static AdapterFile openOne(Context context, Path path) {
    Path directory = Files.isDirectory(path) ? path : path.toAbsolutePath().getParent();
    Path config = directory.resolve(Checkpoint.ADAPTER_CONFIG);
    Settings settings = Settings.read(config, path);
    Path file = Files.isDirectory(path) ? path.resolve(Checkpoint.ADAPTER_WEIGHTS) : path;
    if (!Files.exists(file) && Files.exists(directory.resolve(OLD_WEIGHTS))) {
      throw new InvalidInputException(
          directory.resolve(OLD_WEIGHTS)
              + ": is an adapter in PyTorch's pickle format; load it with PEFT and save it again,"
              + " which writes "
              + Checkpoint.ADAPTER_WEIGHTS);
    }
    AdapterFile adapter = new AdapterFile(context, Checkpoint.open(context, file), settings);
    try {
      adapter.sort();
      adapter.readProducts();
      return adapter;
    } catch (RuntimeException e) {
      adapter.close();
      throw e;
    }
  }

  /** Finds what each stored tensor is. */
  private void sort() {
    Map<String, Tensor> inner = new LinkedHashMap<>();
    for (Tensor tensor : weights.tensors().values()) {
      StoredName name = StoredName.of(tensor.name());
      Optional<Tensor> twice = Optional.empty();
      if (name.role().equals(StoredName.WHOLE)) {
        twice = Optional.ofNullable(replaced.putIfAbsent(name.target(), tensor));
      } else if (name.role().equals(StoredName.INNER)) {
        twice = Optional.ofNullable(inner.putIfAbsent(name.target(), tensor));
      } else if (name.role().equals(StoredName.ORIGINAL)) {
        copies.put(tensor, name.target());
      } else if (settings.method().stores(name.role())) {
        Map<String, Tensor> parts =
            modules.computeIfAbsent(
                new Module(name.target(), name.depth()), module -> new LinkedHashMap<>());
        twice = Optional.ofNullable(parts.putIfAbsent(name.role(), tensor));
      } else {
        throw invalid(
            tensor,
            "is a kind of factor that cannot be read for "
                + settings.method()
                + "; merge the adapter first");
      }
      twice.ifPresent(
          other -> {
            throw invalid(tensor, "is stored a second time as \"" + other.name() + '"');
          });
    }
    // PEFT stores an embedding that grew a second time, under the name within its wrapper.
    inner.forEach(
        (name, tensor) -> {
          if (replaced.putIfAbsent(name, tensor) != null) {
            copies.put(tensor, name);
          }
        });
    if (modules.isEmpty() && replaced.isEmpty()) {
      throw new InvalidInputException(settings.path() + ": no tensors in this adapter");
    }
  }

  /** Reads the products of two factors, which need nothing of the base. */
  private void readProducts() {
    if (settings.method() != Method.LORA && settings.method() != Method.ADALORA) {
      return;
    }
    modules.forEach(
        (module, parts) -> {
          requireBoth(parts, "lora_A", "lora_B");
          requireBoth(parts, "lora_embedding_A", "lora_embedding_B");
          if (parts.containsKey("lora_B.bias") && !parts.containsKey("lora_B")) {
            throw invalid(parts.get("lora_B.bias"), "has no lora_B beside it");
          }
          boolean product = parts.containsKey("lora_A") || parts.containsKey("lora_embedding_A");
          if (settings.magnitudes() && product && !parts.containsKey("lora_magnitude_vector")) {
            throw invalid(
                parts.values().iterator().next(), "has no lora_magnitude_vector beside it");
          }
          if (parts.containsKey("lora_A") && !mayBeParameter(module)) {
            updates.put(module.name() + ".weight", List.of(product(module.name(), parts)));
          }
          if (parts.containsKey("lora_embedding_A")) {
            Tensor a = parts.get("lora_embedding_A");
            Tensor b = parts.get("lora_embedding_B");
            Operand.LowRank pair = product(module.name(), b, a);
            embeddings.put(module.name() + ".weight", List.of(transposed(pair)));
          }
        });
  }

  private void requireBoth(Map<String, Tensor> parts, String one, String other) {
    if (parts.containsKey(one) != parts.containsKey(other)) {
      boolean first = parts.containsKey(one);
      throw invalid(
          parts.get(first ? one : other), "has no " + (first ? other : one) + " beside it");
    }
  }

  /** Returns whether factors may belong to a single parameter of a module, such as experts. */
  boolean mayBeParameter(Module module) {
    return module.depth() > 0 || !settings.parametersOf(module.name()).isEmpty();
  }

  /** Returns the product of a module: outputs x rank times rank x inputs. */
  Operand.LowRank product(String module, Map<String, Tensor> parts) {
    Tensor a = parts.get("lora_A");
    Tensor b = parts.get("lora_B");
    if (settings.method() != Method.ADALORA) {
      return product(module, b, a);
    }
    Tensor values = parts.get("lora_E");
    if (values == null) {
      throw invalid(a, "has no lora_E beside it");
    }
    requireFactor(a);
    requireFactor(b);
    long rank = a.rows();
    if (b.columns() != rank || values.elements() != rank) {
      throw invalid(b, "does not fit its lora_A and lora_E");
    }
    double[] entries = dense(a).values();
    double[] diagonal = dense(values).values();
    for (int i = 0; i < entries.length; i++) {
      entries[i] *= diagonal[(int) (i / a.columns())];
    }
    NativeBuffer buffer = context.allocate((long) entries.length * Double.BYTES);
    derived.add(buffer);
    buffer.putDoubles(0, entries);
    // PEFT divides by the rank before training plus 1e-5.
    double scale = settings.scaling().alpha(module) / (settings.scaling().rank() + 1e-5);
    return new Operand.LowRank(b.matrix(), Matrix.of(buffer, Dtype.F64, rank, a.columns()), scale);
  }

  private Operand.LowRank product(String module, Tensor b, Tensor a) {
    requireFactor(a);
    requireFactor(b);
    long rank = a.rows();
    if (b.columns() != rank || settings.scaling().rank(module) != rank) {
      throw invalid(
          b,
          "is "
              + b.shape()
              + " beside a lora_A of "
              + a.shape()
              + ", but the rank is "
              + settings.scaling().rank(module));
    }
    return new Operand.LowRank(b.matrix(), a.matrix(), settings.scaling().of(module, rank));
  }

  /** Refuses a tensor that is no matrix of floating-point numbers; a convolution's is one. */
  void requireFactor(Tensor tensor) {
    int dimensions = tensor.shape().size();
    if (dimensions < 2
        || dimensions == 3
        || tensor.elements() == 0
        || tensor.type().dtype().isEmpty()) {
      throw invalid(tensor, "is not a matrix of floating-point numbers");
    }
  }

  /** Returns the entries of a factor in float64. */
  Formulas.Dense dense(Tensor tensor) {
    if (tensor.type().dtype().isEmpty() || tensor.elements() == 0) {
      throw invalid(tensor, "holds no floating-point numbers");
    }
    requireSmall(tensor.rows(), tensor.columns());
    return new Formulas.Dense(
        Math.toIntExact(tensor.rows()),
        Math.toIntExact(tensor.columns()),
        DoubleRows.all(tensor.matrix()));
  }

  /** Refuses factors that would not fit into an array. */
  void requireSmall(long rows, long columns) {
    if (columns > 0 && rows > MOST_ENTRIES / columns) {
      throw new InvalidInputException(
          settings.path()
              + ": a factor of "
              + rows
              + " x "
              + columns
              + " is larger than any that is computed; merge the adapter first");
    }
  }

  /** Returns the transpose of a product, from copies of its factors, which are small. */
  Operand.LowRank transposed(Operand.LowRank product) {
    Matrix left = product.left();
    Matrix right = product.right();
    return new Operand.LowRank(
        copy(right, right.columns(), right.rows(), (i, j) -> j * right.columns() + i),
        copy(left, left.columns(), left.rows(), (i, j) -> j * left.columns() + i),
        product.scale());
  }

  /**
   * Returns a copy of a contiguous matrix with its entries in another order.
   *
   * @param source returns the position of the entry for a row and a column of the copy
   */
  Matrix copy(Matrix matrix, long rows, long columns, LongBinaryOperator source) {
    requireSmall(matrix.rows(), matrix.columns());
    int bytes = matrix.dtype().bytes();
    byte[] stored = matrix.buffer().getBytes(matrix.offset(), rows * columns * bytes);
    ByteBuffer row = ByteBuffer.allocate(Math.toIntExact(columns * bytes));
    NativeBuffer buffer = context.allocate(Math.max(1, rows * columns * bytes));
    derived.add(buffer);
    for (long i = 0; i < rows; i++) {
      row.clear();
      for (long j = 0; j < columns; j++) {
        row.put(stored, (int) source.applyAsLong(i, j) * bytes, bytes);
      }
      buffer.putBytes(i * columns * bytes, row.array());
    }
    return Matrix.of(buffer, matrix.dtype(), rows, columns);
  }

  /** Returns a matrix of one entry, which is 1. */
  Matrix one() {
    NativeBuffer buffer = context.allocate(Float.BYTES);
    derived.add(buffer);
    buffer.putFloat(0, 1);
    return Matrix.of(buffer, Dtype.F32, 1, 1);
  }

  private void subtract(Path path) {
    AdapterFile opened = openOne(context, path);
    before = Optional.of(opened);
    boolean products =
        modules.keySet().stream().noneMatch(this::mayBeParameter)
            && settings.method() == Method.LORA
            && opened.settings.method() == Method.LORA;
    if (!products) {
      throw new InvalidInputException(
          path + ": an adapter before training is only subtracted from LoRA of whole modules");
    }
    subtract(path, updates, opened.updates);
    subtract(path, embeddings, opened.embeddings);
  }

  private static void subtract(
      Path path,
      Map<String, List<Operand.LowRank>> updates,
      Map<String, List<Operand.LowRank>> before) {
    for (Map.Entry<String, List<Operand.LowRank>> entry : updates.entrySet()) {
      List<Operand.LowRank> initial = before.get(entry.getKey());
      if (initial == null) {
        throw new InvalidInputException(
            path + ": has no factors for " + entry.getKey() + ", which the tuned adapter has");
      }
      Operand.LowRank term = initial.get(0);
      entry.setValue(
          List.of(
              entry.getValue().get(0),
              new Operand.LowRank(term.left(), term.right(), -term.scale())));
    }
  }

  InvalidInputException invalid(Tensor tensor, String what) {
    return new InvalidInputException(
        settings.path() + ": tensor \"" + tensor.name() + "\" " + what);
  }

  /** Returns tensors that PEFT stores but does not read, with the weight that they copy. */
  Map<Tensor, String> copies() {
    return copies;
  }

  Settings settings() {
    return settings;
  }

  Map<Module, Map<String, Tensor>> modules() {
    return modules;
  }

  Map<String, List<Operand.LowRank>> embeddings() {
    return embeddings;
  }

  /** Returns the names of the weights that the adapter changes, as the model has them. */
  Set<String> names() {
    Set<String> names = new LinkedHashSet<>(replaced.keySet());
    modules.forEach(
        (module, parts) -> {
          List<String> parameters = settings.parametersOf(module.name());
          parameters.forEach(parameter -> names.add(module.name() + "." + parameter));
          names.add(module.name() + ".weight");
          if (parts.containsKey("lora_B.bias")) {
            names.add(module.name() + ".bias");
          }
        });
    return names;
  }

  Map<String, List<Operand.LowRank>> updates() {
    return Collections.unmodifiableMap(updates);
  }

  /** Returns the names of the tensors that are not factors of {@link #updates}. */
  List<String> beyondUpdates() {
    List<String> names = new ArrayList<>();
    replaced.values().forEach(tensor -> names.add(tensor.name()));
    modules.forEach(
        (module, parts) ->
            parts.forEach(
                (role, tensor) -> {
                  boolean factor = role.equals("lora_A") || role.equals("lora_B");
                  if (!factor || !updates.containsKey(module.name() + ".weight")) {
                    names.add(tensor.name());
                  }
                }));
    return names;
  }

  Map<String, Tensor> replaced() {
    return Collections.unmodifiableMap(replaced);
  }

  Checkpoint weights() {
    return weights;
  }

  @Override
  public void close() {
    derived.forEach(NativeBuffer::close);
    weights.close();
    before.ifPresent(AdapterFile::close);
  }
}
