// The native methods of org.threegate.binding.jni.Buffers, compiled into the generated shim.
#ifndef THREEGATE_BINDING_JNI_BUFFERS_H
#define THREEGATE_BINDING_JNI_BUFFERS_H

#include <jni.h>
#include <stdint.h>

extern "C" {

JNIEXPORT __attribute__((used)) inline jlong JNICALL Java_org_threegate_binding_jni_Buffers_addressOf(JNIEnv* env, jclass,
                                                                                                      jobject direct) {
  return static_cast<jlong>(reinterpret_cast<intptr_t>(env->GetDirectBufferAddress(direct)));
}

JNIEXPORT __attribute__((used)) inline jobject JNICALL Java_org_threegate_binding_jni_Buffers_viewOf(JNIEnv* env, jclass,
                                                                                                     jlong address, jlong bytes) {
  return env->NewDirectByteBuffer(reinterpret_cast<void*>(static_cast<intptr_t>(address)), bytes);
}
}

#endif  // THREEGATE_BINDING_JNI_BUFFERS_H
