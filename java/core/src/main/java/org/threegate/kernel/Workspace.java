package org.threegate.kernel;

import java.util.function.LongToIntFunction;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Structs;

/** What a kernel needs beside its inputs and outputs: asked for, allocated, used, freed. */
final class Workspace {
  /** Of the two structs: the query's answer and the workspace itself. */
  static final int STRUCT_BYTES = Structs.WorkspaceSize.SIZEOF + Structs.Workspace.SIZEOF;

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
    long workspaceAt = at + Structs.WorkspaceSize.SIZEOF;
    try (NativeBuffer.Lease own = structs.lease()) {
      structs.putLong(at + Structs.WorkspaceSize.SIZE, Structs.WorkspaceSize.SIZEOF);
      call.run(unused -> query.applyAsInt(own.address() + at));
      long bytes = structs.getLong(at + Structs.WorkspaceSize.HOST_BYTES);
      try (NativeBuffer memory = context.allocate(bytes);
          NativeBuffer.Lease lease = memory.lease()) {
        structs
            .putLong(workspaceAt + Structs.Workspace.SIZE, Structs.Workspace.SIZEOF)
            .putLong(workspaceAt + Structs.Workspace.HOST, lease.address())
            .putLong(workspaceAt + Structs.Workspace.HOST_BYTES, bytes)
            .putLong(workspaceAt + Structs.Workspace.DEVICE, 0)
            .putLong(workspaceAt + Structs.Workspace.DEVICE_BYTES, 0);
        call.run(unused -> kernel.applyAsInt(own.address() + workspaceAt));
      }
    }
  }
}
