package org.threegate.kernel;

import java.util.function.LongToIntFunction;
import org.threegate.buffer.NativeBuffer;

/** What a kernel needs beside its inputs and outputs: asked for, allocated, used, freed. */
final class Workspace {
  /** Of the two structs: the query's answer and the workspace itself. */
  static final int STRUCT_BYTES = Struct.WORKSPACE_SIZE + Struct.WORKSPACE;

  private Workspace() {}

  /**
   * @param at where in {@code structs} the two structs go
   * @param query takes the address of a {@code tg_workspace_size}
   * @param kernel takes the address of a {@code tg_workspace}
   */
  static void use(
      Context context,
      Context.Call call,
      NativeBuffer structs,
      long at,
      LongToIntFunction query,
      LongToIntFunction kernel) {
    long workspaceAt = at + Struct.WORKSPACE_SIZE;
    try (NativeBuffer.Lease own = structs.lease()) {
      structs.putLong(at + Struct.WORKSPACE_SIZE_SIZE, Struct.WORKSPACE_SIZE);
      call.run(unused -> query.applyAsInt(own.address() + at));
      long bytes = structs.getLong(at + Struct.WORKSPACE_SIZE_HOST_BYTES);
      try (NativeBuffer memory = context.allocate(bytes);
          NativeBuffer.Lease lease = memory.lease()) {
        structs
            .putLong(workspaceAt + Struct.WORKSPACE_SIZE_FIELD, Struct.WORKSPACE)
            .putLong(workspaceAt + Struct.WORKSPACE_HOST, lease.address())
            .putLong(workspaceAt + Struct.WORKSPACE_HOST_BYTES, bytes)
            .putLong(workspaceAt + Struct.WORKSPACE_DEVICE, 0)
            .putLong(workspaceAt + Struct.WORKSPACE_DEVICE_BYTES, 0);
        call.run(unused -> kernel.applyAsInt(own.address() + workspaceAt));
      }
    }
  }
}
