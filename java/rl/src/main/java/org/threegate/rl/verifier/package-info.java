/** Whether an answer is right: rewards that can be verified. */
package org.threegate.rl.verifier;
