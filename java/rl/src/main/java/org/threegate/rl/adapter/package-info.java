/** Adapters of low rank: how they begin, and PEFT's files of them. */
package org.threegate.rl.adapter;
