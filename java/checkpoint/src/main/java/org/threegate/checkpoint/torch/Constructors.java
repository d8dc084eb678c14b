package org.threegate.checkpoint.torch;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.threegate.checkpoint.torch.PickleValue.Dictionary;
import org.threegate.checkpoint.torch.PickleValue.Instance;
import org.threegate.checkpoint.torch.PickleValue.Name;
import org.threegate.checkpoint.torch.PickleValue.Part;
import org.threegate.checkpoint.torch.PickleValue.Plain;
import org.threegate.checkpoint.torch.PickleValue.Sequence;
import org.threegate.checkpoint.torch.PickleValue.Storage;
import org.threegate.checkpoint.torch.PickleValue.Strided;
import org.threegate.checkpoint.torch.PickleValue.Text;
import org.threegate.checkpoint.torch.PickleValue.Whole;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;

/**
 * The only names that a pickle may use, and what they describe. Nothing is called: a call of a
 * constructor of tensors becomes the description of a tensor.
 */
final class Constructors {
  private static final String REBUILD = "torch._utils._rebuild_";
  private static final String FROM_TYPE = "torch._tensor._rebuild_from_type_v2";
  private static final String WRAPPER = REBUILD + "wrapper_subclass";
  private static final String PARAMETER = "torch.nn.parameter.Parameter";
  private static final String BYTES = "torch.storage.UntypedStorage";

  /** Names that DTensor had in versions of torch. */
  private static final Set<String> DISTRIBUTED =
      Set.of(
          "torch.distributed.tensor.DTensor",
          "torch.distributed.tensor._api.DTensor",
          "torch.distributed._tensor.api.DTensor");

  /** Functions that describe tensors. */
  private static final Set<String> FUNCTIONS =
      Set.of(
          REBUILD + "tensor",
          REBUILD + "tensor_v2",
          REBUILD + "tensor_v3",
          REBUILD + "parameter",
          REBUILD + "parameter_with_state",
          WRAPPER,
          FROM_TYPE);

  private static final Set<String> CONTAINERS =
      Set.of("collections.OrderedDict", "torch.Size", "torch.Tensor", PARAMETER, BYTES);

  private final ByteSource source;
  private final Vocabulary vocabulary;

  Constructors(ByteSource source, Vocabulary vocabulary) {
    this.source = source;
    this.vocabulary = vocabulary;
  }

  /** Returns a name, if it is on the list. */
  Name name(String module, String name) {
    String path = module + "." + name;
    boolean known =
        CONTAINERS.contains(path)
            || vocabulary.describes(path)
            || vocabulary.isWithoutContent(path)
            || TorchType.ofDtype(path).isPresent();
    if (known || vocabulary == Vocabulary.TENSORS && isTensor(path)) {
      return new Name(path);
    }
    throw source.refusal(
        PrintableText.name(path)
            + (vocabulary == Vocabulary.TENSORS
                ? " is not a constructor of tensors, and nothing in a pickle is executed; save only"
                    + " the tensors: torch.save(model.state_dict(), FILE)"
                : " does not describe a distributed checkpoint, and nothing in a pickle is"
                    + " executed; save only the tensors: dcp.save(model.state_dict(), ...)"));
  }

  private static boolean isTensor(String path) {
    return FUNCTIONS.contains(path)
        || DISTRIBUTED.contains(path)
        || TorchType.ofStorage(path).isPresent();
  }

  /** Returns what a call describes. */
  PickleValue call(PickleValue function, PickleValue arguments) {
    if (!(function instanceof Name name) || !(arguments instanceof Sequence values)) {
      throw source.damaged("calls something that is not a function of its pickle");
    }
    return call(name.path(), values.items());
  }

  private PickleValue call(String function, List<PickleValue> arguments) {
    if (vocabulary.describes(function)) {
      return new Instance(function, arguments);
    }
    if (vocabulary.isWithoutContent(function)) {
      return Plain.OTHER;
    }
    return switch (function) {
      case "collections.OrderedDict" -> dictionary(arguments);
      case "torch.Size" -> argument(arguments, 0, Sequence.class);
      case REBUILD + "tensor", REBUILD + "tensor_v2" -> {
        Storage storage = argument(arguments, 0, Storage.class);
        plain(arguments, 6);
        yield tensor(
            storage,
            storage.type().orElseThrow(() -> source.damaged("has a tensor without a dtype")),
            arguments);
      }
      case REBUILD + "tensor_v3" -> {
        plain(arguments, 7);
        yield tensor(argument(arguments, 0, Storage.class), dtype(arguments, 6), arguments);
      }
      case REBUILD + "parameter", REBUILD + "parameter_with_state" -> parameter(arguments);
      case WRAPPER -> new Instance(WRAPPER, arguments);
      case FROM_TYPE -> fromType(arguments);
      default -> throw source.damaged("calls " + function + ", which is not a function");
    };
  }

  /** Returns the new object that a class and its arguments describe. */
  PickleValue create(PickleValue type, PickleValue arguments) {
    if (type instanceof Name name
        && arguments instanceof Sequence values
        && (vocabulary.describes(name.path()) || name.path().equals("collections.OrderedDict"))) {
      return call(name.path(), values.items());
    }
    throw source.damaged("creates an object of a class that describes no tensor");
  }

  /** Gives an object its state. */
  void build(PickleValue object, PickleValue state) {
    if (object instanceof Instance instance && vocabulary.describes(instance.type())) {
      instance.become(state);
    } else if (!(object instanceof Dictionary)) {
      throw source.damaged("changes an object that describes no tensor");
    }
    // Attributes of a dictionary, such as _metadata of a state dictionary, are not entries.
  }

  /** Returns the storage that a persistent identifier names. */
  Storage storage(PickleValue identifier) {
    if (vocabulary != Vocabulary.TENSORS
        || !(identifier instanceof Sequence parts)
        || parts.items().size() < 5
        || !(parts.items().get(0) instanceof Text kind)
        || !kind.value().equals("storage")
        || !(parts.items().get(1) instanceof Name type)
        || !(parts.items().get(2) instanceof Text key)
        || !(parts.items().get(4) instanceof Whole elements)
        || elements.value() < 0) {
      throw source.damaged("has a persistent identifier that is not of a storage");
    }
    Optional<TorchType> elementType = TorchType.ofStorage(type.path());
    if (elementType.isEmpty() && !type.path().equals(BYTES)) {
      throw source.damaged(type.path() + " is not a storage");
    }
    return new Storage(elementType, key.value(), elements.value());
  }

  /** Old versions of Python pass a list of pairs, which is empty. */
  private Dictionary dictionary(List<PickleValue> arguments) {
    boolean none =
        arguments.isEmpty()
            || (arguments.size() == 1
                && arguments.get(0) instanceof Sequence pairs
                && pairs.items().isEmpty());
    if (!none) {
      throw source.damaged("has a dictionary that is made of a list");
    }
    return new Dictionary();
  }

  private Strided tensor(Storage storage, TorchType type, List<PickleValue> arguments) {
    List<Long> shape = sizes(arguments, 2);
    List<Long> strides = sizes(arguments, 3);
    long first = argument(arguments, 1, Whole.class).value();
    if (strides.size() != shape.size() || first < 0) {
      throw source.damaged("has a tensor whose strides do not fit its shape");
    }
    Dimensions.check(source, shape);
    try {
      long last = first;
      for (int i = 0; i < shape.size(); i++) {
        last =
            Math.addExact(last, Math.multiplyExact(Math.max(0, shape.get(i) - 1), strides.get(i)));
      }
      long end = shape.contains(0L) ? first : Math.addExact(last, 1);
      long stored =
          storage.type().isPresent() ? storage.elements() : storage.elements() / type.bytes();
      if (end > stored) {
        throw source.damaged("has a tensor that ends beyond its storage");
      }
    } catch (ArithmeticException e) {
      throw source.damaged("has a tensor of impossible dimensions");
    }
    return new Strided(storage, type, first, shape, strides);
  }

  /** Refuses tensors that are views with a sign or a conjugation. */
  private void plain(List<PickleValue> arguments, int metadata) {
    if (arguments.size() > metadata
        && !(arguments.get(metadata) instanceof Dictionary none && none.entries().isEmpty())
        && arguments.get(metadata) != Plain.NONE) {
      throw source.refusal(
          "has a tensor with a pending negation or conjugation; save it after"
              + " .resolve_neg().resolve_conj()");
    }
  }

  private PickleValue parameter(List<PickleValue> arguments) {
    PickleValue data = argument(arguments, 0, PickleValue.class);
    if (data instanceof Strided || data instanceof Part) {
      return data;
    }
    throw source.damaged("has a parameter without a tensor");
  }

  private PickleValue fromType(List<PickleValue> arguments) {
    String function = argument(arguments, 0, Name.class).path();
    String type = argument(arguments, 1, Name.class).path();
    List<PickleValue> inner = argument(arguments, 2, Sequence.class).items();
    if (function.equals(FROM_TYPE)) {
      throw source.damaged("has a tensor in a tensor"); // which may contain itself
    }
    PickleValue tensor = call(function, inner);
    if (!DISTRIBUTED.contains(type)) {
      if (tensor instanceof Strided && (type.equals(PARAMETER) || type.equals("torch.Tensor"))) {
        return tensor;
      }
      throw source.damaged("has a tensor of the class " + type);
    }
    if (!(tensor instanceof Instance wrapper) || !wrapper.type().equals(WRAPPER)) {
      throw source.damaged("has a distributed tensor without a size");
    }
    return part(sizes(inner, 2), argument(arguments, 3, PickleValue.class));
  }

  /** Returns what this process holds of a DTensor. */
  private Part part(List<Long> whole, PickleValue state) {
    if (!(Instance.field(state, "_local_tensor") instanceof Strided own)
        || !(Instance.field(state, "_spec") instanceof Instance description)
        || !(description.field("placements") instanceof Sequence placements)
        || placements.items().isEmpty()
        || placements.items().size() > Dimensions.MOST) {
      throw source.damaged("has a distributed tensor without its placements");
    }
    List<Integer> split = new ArrayList<>();
    for (PickleValue value : placements.items()) {
      if (!(value instanceof Instance placement)) {
        throw source.damaged("has a distributed tensor without its placements");
      }
      if (placement.kind().equals("Replicate")) {
        split.add(-1);
      } else if (placement.kind().equals("Shard")) {
        long dimension = dimension(placement);
        if (dimension < 0 || dimension >= whole.size()) {
          throw source.damaged("has a distributed tensor that is split along no dimension");
        }
        split.add((int) dimension);
      } else {
        throw merge("by " + placement.kind() + ", which is not read");
      }
    }
    Dimensions.check(source, whole);
    checkOrder(description.field("shard_order"));
    return new Part(own, new TensorShare(whole, split, coordinates(description, split.size())));
  }

  /** Refuses meshes whose later dimensions split a tensor first. */
  private void checkOrder(PickleValue order) {
    if (!(order instanceof Sequence entries)) {
      return; // the only order of older versions
    }
    for (PickleValue entry : entries.items()) {
      long last = -1;
      if (entry instanceof Instance one
          && one.arguments().size() > 1
          && one.arguments().get(1) instanceof Sequence meshDimensions) {
        for (PickleValue value : meshDimensions.items()) {
          if (!(value instanceof Whole index) || index.value() <= last) {
            throw merge("in another order than that of the mesh");
          }
          last = index.value();
        }
      }
    }
  }

  /** Returns the place of this process in its mesh; empty if it is not stated. */
  private List<Long> coordinates(Instance description, int dimensions) {
    if (!(description.field("mesh") instanceof Instance mesh)
        || !(mesh.field("_coordinate_on_dim") instanceof Sequence place)) {
      return List.of();
    }
    List<Long> coordinates = sizes(place.items());
    if (coordinates.size() != dimensions) {
      throw source.damaged("has a distributed tensor whose placements do not fit its mesh");
    }
    return coordinates;
  }

  private InvalidInputException merge(String how) {
    return source.refusal(
        "its tensors are distributed "
            + how
            + "; merge the files of all ranks first, for example with verl.model_merger and its"
            + " backend fsdp");
  }

  /** Returns the dimension of a placement; -1 if it is not stated. */
  private static long dimension(Instance placement) {
    List<PickleValue> values =
        placement.state() instanceof Sequence items ? items.items() : placement.arguments();
    if (placement.field("dim") instanceof Whole dimension) {
      return dimension.value();
    }
    return !values.isEmpty() && values.get(0) instanceof Whole dimension ? dimension.value() : -1;
  }

  private TorchType dtype(List<PickleValue> arguments, int index) {
    String name = argument(arguments, index, Name.class).path();
    return TorchType.ofDtype(name).orElseThrow(() -> source.damaged(name + " is not a dtype"));
  }

  private List<Long> sizes(List<PickleValue> arguments, int index) {
    return sizes(argument(arguments, index, Sequence.class).items());
  }

  private List<Long> sizes(List<PickleValue> values) {
    if (values.size() > Dimensions.MOST) {
      throw source.damaged("has a tensor of " + values.size() + " dimensions");
    }
    List<Long> sizes = new ArrayList<>();
    for (PickleValue value : values) {
      if (!(value instanceof Whole size) || size.value() < 0) {
        throw source.damaged("has a tensor with a dimension that is not a size");
      }
      sizes.add(size.value());
    }
    return List.copyOf(sizes);
  }

  private <T extends PickleValue> T argument(
      List<PickleValue> arguments, int index, Class<T> type) {
    if (index < arguments.size() && type.isInstance(arguments.get(index))) {
      return type.cast(arguments.get(index));
    }
    throw source.damaged("describes a tensor with wrong arguments");
  }
}
