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

  /** Functions and classes whose values no tensor needs. */
  private static final Set<String> WITHOUT_CONTENT =
      Set.of(
          "torch.device",
          "torch.serialization._get_layout",
          "torch.strided",
          "_codecs.encode",
          "builtins.set",
          "__builtin__.set");

  /** Classes that describe how a tensor is distributed. */
  private static final Set<String> DESCRIPTIONS =
      Set.of(
          "torch.distributed.device_mesh.DeviceMesh",
          "torch.distributed._mesh_layout._MeshLayout",
          "torch.distributed._mesh_layout._FlatLayout",
          "torch.distributed.tensor._dtensor_spec.DTensorSpec",
          "torch.distributed.tensor._dtensor_spec.TensorMeta",
          "torch.distributed.tensor._dtensor_spec.ShardOrderEntry",
          "torch.distributed.tensor.placement_types.Shard",
          "torch.distributed.tensor.placement_types.Replicate",
          "torch.distributed.tensor.placement_types.Partial",
          "torch.distributed._tensor._dtensor_spec.DTensorSpec",
          "torch.distributed._tensor._dtensor_spec.TensorMeta",
          "torch.distributed._tensor.placement_types.DTensorSpec",
          "torch.distributed._tensor.placement_types.TensorMeta",
          "torch.distributed._tensor.placement_types.Shard",
          "torch.distributed._tensor.placement_types.Replicate",
          "torch.distributed._tensor.placement_types._Partial",
          "torch.distributed._tensor.placement_types.Partial");

  private static final int MOST_DIMENSIONS = 64; // as numpy has it

  private final ByteSource source;

  Constructors(ByteSource source) {
    this.source = source;
  }

  /** Returns a name, if it is on the list. */
  Name name(String module, String name) {
    String path = module + "." + name;
    if (FUNCTIONS.contains(path)
        || CONTAINERS.contains(path)
        || WITHOUT_CONTENT.contains(path)
        || DESCRIPTIONS.contains(path)
        || DISTRIBUTED.contains(path)
        || TorchType.ofDtype(path).isPresent()
        || TorchType.ofStorage(path).isPresent()) {
      return new Name(path);
    }
    throw source.refusal(
        PrintableText.name(path)
            + " is not a constructor of tensors, and nothing in a pickle is executed; save only"
            + " the tensors: torch.save(model.state_dict(), FILE)");
  }

  /** Returns what a call describes. */
  PickleValue call(PickleValue function, PickleValue arguments) {
    if (!(function instanceof Name name) || !(arguments instanceof Sequence values)) {
      throw source.damaged("calls something that is not a function of its pickle");
    }
    return call(name.path(), values.items());
  }

  private PickleValue call(String function, List<PickleValue> arguments) {
    if (DESCRIPTIONS.contains(function)) {
      return new Instance(function, arguments);
    }
    if (WITHOUT_CONTENT.contains(function)) {
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
        && (DESCRIPTIONS.contains(name.path()) || name.path().equals("collections.OrderedDict"))) {
      return call(name.path(), values.items());
    }
    throw source.damaged("creates an object of a class that describes no tensor");
  }

  /** Gives an object its state. */
  void build(PickleValue object, PickleValue state) {
    if (object instanceof Instance instance && DESCRIPTIONS.contains(instance.type())) {
      instance.become(state);
    } else if (!(object instanceof Dictionary)) {
      throw source.damaged("changes an object that describes no tensor");
    }
    // Attributes of a dictionary, such as _metadata of a state dictionary, are not entries.
  }

  /** Returns the storage that a persistent identifier names. */
  Storage storage(PickleValue identifier) {
    if (!(identifier instanceof Sequence parts)
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
    try {
      long elements = 1;
      long last = first;
      for (int i = 0; i < shape.size(); i++) {
        elements = Math.multiplyExact(elements, Math.max(1, shape.get(i)));
        last =
            Math.addExact(last, Math.multiplyExact(Math.max(0, shape.get(i) - 1), strides.get(i)));
      }
      boolean empty = shape.contains(0L);
      // Loops over an empty tensor, such as one over its rows, stay short.
      if (empty && elements > Integer.MAX_VALUE) {
        throw source.damaged("has an empty tensor of impossible dimensions");
      }
      long end = empty ? first : Math.addExact(last, 1);
      long stored =
          storage.type().isPresent() ? storage.elements() : storage.elements() / type.bytes();
      if (end > stored) {
        throw source.damaged("has a tensor that ends beyond its storage");
      }
      Math.multiplyExact(elements, type.bytes());
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
    PickleValue local = field(state, "_local_tensor");
    PickleValue spec = field(state, "_spec");
    if (!(local instanceof Strided own)
        || !(spec instanceof Instance description)
        || !(field(description.state(), "placements") instanceof Sequence placements)) {
      throw source.damaged("has a distributed tensor without its placements");
    }
    if (placements.items().size() != 1
        || !(placements.items().get(0) instanceof Instance placement)) {
      throw merge("over a mesh of " + placements.items().size() + " dimensions");
    }
    String kind = placement.type().substring(placement.type().lastIndexOf('.') + 1);
    if (kind.equals("Replicate") && own.shape().equals(whole)) {
      return new Part(own, whole, false);
    }
    if (!kind.equals("Shard") || dimension(placement) != 0 || whole.isEmpty()) {
      throw merge("by " + kind + ", not by rows");
    }
    if (own.shape().size() != whole.size()
        || !own.shape().subList(1, whole.size()).equals(whole.subList(1, whole.size()))) {
      throw source.damaged("has a part of " + own.shape() + " of a tensor of " + whole);
    }
    return new Part(own, whole, true);
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
    PickleValue state = placement.state();
    List<PickleValue> values =
        state instanceof Sequence items ? items.items() : placement.arguments();
    if (field(state, "dim") instanceof Whole dimension) {
      return dimension.value();
    }
    return !values.isEmpty() && values.get(0) instanceof Whole dimension ? dimension.value() : -1;
  }

  /** Returns a field of a state: a dictionary, or one of attributes and one of slots. */
  private static PickleValue field(PickleValue state, String name) {
    List<PickleValue> parts = state instanceof Sequence both ? both.items() : List.of(state);
    for (PickleValue part : parts.subList(0, Math.min(2, parts.size()))) {
      if (part instanceof Dictionary fields && fields.entries().containsKey(name)) {
        return fields.entries().get(name);
      }
    }
    return Plain.NONE;
  }

  private TorchType dtype(List<PickleValue> arguments, int index) {
    String name = argument(arguments, index, Name.class).path();
    return TorchType.ofDtype(name).orElseThrow(() -> source.damaged(name + " is not a dtype"));
  }

  private List<Long> sizes(List<PickleValue> arguments, int index) {
    List<PickleValue> values = argument(arguments, index, Sequence.class).items();
    if (values.size() > MOST_DIMENSIONS) {
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
