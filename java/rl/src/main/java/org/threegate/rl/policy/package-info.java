/** Decoders of language models: what they compute, and what is sampled from them. */
package org.threegate.rl.policy;
