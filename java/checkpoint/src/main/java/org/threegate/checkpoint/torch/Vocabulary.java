package org.threegate.checkpoint.torch;

import java.util.Set;

/** The names that a pickle may use: those that its kind of file needs, and no others. */
enum Vocabulary {
  /** Files of {@code torch.save}: tensors, how they are distributed, and values beside them. */
  TENSORS(
      Set.of(
          "torch.distributed.device_mesh.DeviceMesh",
          "torch.distributed._mesh_layout._MeshLayout",
          "torch.distributed._mesh_layout._FlatLayout",
          "torch.distributed.tensor._dtensor_spec.DTensorSpec",
          "torch.distributed.tensor._dtensor_spec.TensorMeta",
          "torch.distributed.tensor._dtensor_spec.ShardOrderEntry",
          "torch.distributed.tensor.placement_types.Shard",
          "torch.distributed.tensor.placement_types._StridedShard",
          "torch.distributed.tensor.placement_types.Replicate",
          "torch.distributed.tensor.placement_types.Partial",
          "torch.distributed._tensor._dtensor_spec.DTensorSpec",
          "torch.distributed._tensor._dtensor_spec.TensorMeta",
          "torch.distributed._tensor.placement_types.DTensorSpec",
          "torch.distributed._tensor.placement_types.TensorMeta",
          "torch.distributed._tensor.placement_types.Shard",
          "torch.distributed._tensor.placement_types._StridedShard",
          "torch.distributed._tensor.placement_types.Replicate",
          "torch.distributed._tensor.placement_types._Partial",
          "torch.distributed._tensor.placement_types.Partial",
          "deepspeed.utils.tensor_fragment.fragment_address",
          "deepspeed.runtime.zero.config.ZeroStageEnum",
          "deepspeed.runtime.fp16.loss_scaler.LossScaler",
          "deepspeed.runtime.fp16.loss_scaler.DynamicLossScaler"),
      Set.of(
          "torch.device",
          "torch.serialization._get_layout",
          "torch.strided",
          "_codecs.encode",
          "builtins.set",
          "__builtin__.set")),

  /** The {@code .metadata} of a distributed checkpoint, which has no tensors of its own. */
  METADATA(
      Set.of(
          "torch.distributed.checkpoint.metadata.Metadata",
          "torch.distributed.checkpoint.metadata.StorageMeta",
          "torch.distributed.checkpoint.metadata.MetadataIndex",
          "torch.distributed.checkpoint.metadata.TensorStorageMetadata",
          "torch.distributed.checkpoint.metadata.BytesStorageMetadata",
          "torch.distributed.checkpoint.metadata.ChunkStorageMetadata",
          "torch.distributed.checkpoint.metadata.TensorProperties",
          "torch.distributed.checkpoint.metadata._MEM_FORMAT_ENCODING",
          "torch.distributed.checkpoint.filesystem._StorageInfo",
          "torch.distributed._shard.sharded_tensor.metadata.TensorProperties",
          "torch.distributed._shard.sharded_tensor.metadata.MEM_FORMAT_ENCODING"),
      Set.of(
          "torch.serialization._get_layout",
          "torch.strided",
          "pathlib.PosixPath",
          "pathlib.WindowsPath",
          "pathlib._local.PosixPath",
          "pathlib._local.WindowsPath"));

  private final Set<String> descriptions;
  private final Set<String> withoutContent;

  Vocabulary(Set<String> descriptions, Set<String> withoutContent) {
    this.descriptions = descriptions;
    this.withoutContent = withoutContent;
  }

  /** Returns whether a name is that of a class whose objects describe something. */
  boolean describes(String name) {
    return descriptions.contains(name);
  }

  /** Returns whether a name is that of a function or class whose values no tensor needs. */
  boolean isWithoutContent(String name) {
    return withoutContent.contains(name);
  }
}
