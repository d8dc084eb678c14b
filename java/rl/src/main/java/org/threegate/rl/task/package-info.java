/** Problems with verifiable answers: read from files, or generated. */
package org.threegate.rl.task;
