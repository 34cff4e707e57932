// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Client of a DMA engine, as a kernel module: copies memory on every channel of one driver, asks
 * for an interrupt per copy, and compares what arrived.
 *
 * A copy counts as hung when its callback did not come within @patience seconds. It may come
 * yet: the module then stays for good.
 *
 * All parameters are in /sys/module/dmacopy/parameters:
 *   driver, copies, depth, size, patience   how it is loaded
 *   stop                                    written: the threads end before their copies are done
 *   channels, running                       read: channels found, and those with work left
 *   done, wrong, failed, hung               read: copies by outcome
 */
#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/dmaengine.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>

#define MAX_CHANNELS 16

static char *driver = "idxd";
module_param(driver, charp, 0444);
MODULE_PARM_DESC(driver, "driver whose channels are used");

static unsigned int copies = 1000;
module_param(copies, uint, 0444);
MODULE_PARM_DESC(copies, "copies per channel");

static unsigned int depth = 1;
module_param(depth, uint, 0444);
MODULE_PARM_DESC(depth, "copies under way per channel");

static unsigned int size = 1024;
module_param(size, uint, 0444);
MODULE_PARM_DESC(size, "bytes per copy, a multiple of 8");

static unsigned int patience = 20;
module_param(patience, uint, 0444);
MODULE_PARM_DESC(patience, "seconds until a copy counts as hung");

static bool stop;
module_param(stop, bool, 0644);
MODULE_PARM_DESC(stop, "end early");

static unsigned int channels;
module_param(channels, uint, 0444);
static atomic_t running, done, wrong, failed, hung;

static int get_atomic(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", atomic_read((atomic_t *)kp->arg));
}

static const struct kernel_param_ops atomic_ops = { .get = get_atomic };

module_param_cb(running, &atomic_ops, &running, 0444);
module_param_cb(done, &atomic_ops, &done, 0444);
module_param_cb(wrong, &atomic_ops, &wrong, 0444);
module_param_cb(failed, &atomic_ops, &failed, 0444);
module_param_cb(hung, &atomic_ops, &hung, 0444);

/* One copy at a time */
struct slot {
	u64 *from, *to;
	dma_addr_t from_dma, to_dma;
	struct completion called;
	enum dmaengine_tx_result result;
};

struct worker {
	struct dma_chan *channel;
	struct task_struct *task;
	struct slot *slots;
};

static struct worker workers[MAX_CHANNELS];

static void copied(void *data, const struct dmaengine_result *result)
{
	struct slot *slot = data;

	slot->result = result ? result->result : DMA_TRANS_NOERROR;
	complete(&slot->called);
}

/* No two copies have the same data, and the target has none of it before. */
static void fill(struct slot *slot)
{
	u64 value = get_random_u64();
	unsigned int i;

	for (i = 0; i < size / sizeof(u64); i++) {
		slot->from[i] = value + i;
		slot->to[i] = ~(value + i);
	}
}

static int map(struct device *dev, struct slot *slot)
{
	slot->from_dma = dma_map_single(dev, slot->from, size, DMA_TO_DEVICE);
	if (dma_mapping_error(dev, slot->from_dma))
		return -ENOMEM;
	slot->to_dma = dma_map_single(dev, slot->to, size, DMA_FROM_DEVICE);
	if (dma_mapping_error(dev, slot->to_dma)) {
		dma_unmap_single(dev, slot->from_dma, size, DMA_TO_DEVICE);
		return -ENOMEM;
	}
	return 0;
}

static void unmap(struct device *dev, struct slot *slot)
{
	dma_unmap_single(dev, slot->from_dma, size, DMA_TO_DEVICE);
	dma_unmap_single(dev, slot->to_dma, size, DMA_FROM_DEVICE);
}

static int start(struct dma_chan *channel, struct slot *slot)
{
	struct dma_async_tx_descriptor *tx;
	struct device *dev = channel->device->dev;

	fill(slot);
	reinit_completion(&slot->called);
	if (map(dev, slot))
		return -ENOMEM;
	tx = dmaengine_prep_dma_memcpy(channel, slot->to_dma, slot->from_dma, size,
				       DMA_PREP_INTERRUPT | DMA_CTRL_ACK);
	if (!tx) {
		unmap(dev, slot);
		return -EIO;
	}
	tx->callback_result = copied;
	tx->callback_param = slot;
	if (dma_submit_error(dmaengine_submit(tx))) {
		unmap(dev, slot);
		return -EIO;
	}
	dma_async_issue_pending(channel);
	return 0;
}

/* Returns false if the copy hangs. */
static bool finish(struct dma_chan *channel, struct slot *slot)
{
	if (!wait_for_completion_timeout(&slot->called, patience * HZ)) {
		__module_get(THIS_MODULE);
		atomic_inc(&hung);
		return false;
	}
	unmap(channel->device->dev, slot);
	if (slot->result != DMA_TRANS_NOERROR)
		atomic_inc(&failed);
	else if (memcmp(slot->from, slot->to, size))
		atomic_inc(&wrong);
	else
		atomic_inc(&done);
	return true;
}

/* Slots in turn: @depth copies are under way, the oldest is waited for. */
static void copy_all(struct worker *worker)
{
	unsigned int started = 0, finished = 0;

	while (finished < started || (started < copies && !stop)) {
		if (started < copies && !stop && started - finished < depth) {
			if (start(worker->channel, &worker->slots[started % depth])) {
				atomic_inc(&failed);
				break;
			}
			started++;
		} else {
			if (!finish(worker->channel, &worker->slots[finished % depth]))
				return;
			finished++;
		}
	}
	for (; finished < started; finished++)
		finish(worker->channel, &worker->slots[finished % depth]);
}

static int work(void *data)
{
	copy_all(data);
	atomic_dec(&running);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ / 10);
	return 0;
}

static bool is_wanted(struct dma_chan *channel, void *name)
{
	return !strcmp(channel->device->dev->driver->name, name);
}

static int allocate_slots(struct worker *worker)
{
	unsigned int i;

	worker->slots = kcalloc(depth, sizeof(*worker->slots), GFP_KERNEL);
	if (!worker->slots)
		return -ENOMEM;
	for (i = 0; i < depth; i++) {
		struct slot *slot = &worker->slots[i];

		init_completion(&slot->called);
		slot->from = kmalloc(size, GFP_KERNEL);
		slot->to = kmalloc(size, GFP_KERNEL);
		if (!slot->from || !slot->to)
			return -ENOMEM;
	}
	return 0;
}

static void free_slots(struct worker *worker)
{
	unsigned int i;

	for (i = 0; worker->slots && i < depth; i++) {
		kfree(worker->slots[i].from);
		kfree(worker->slots[i].to);
	}
	kfree(worker->slots);
}

static void remove_worker(struct worker *worker)
{
	if (!IS_ERR_OR_NULL(worker->task))
		kthread_stop(worker->task);
	free_slots(worker);
	dma_release_channel(worker->channel);
}

static int add_worker(struct worker *worker, struct dma_chan *channel)
{
	int ret;

	worker->channel = channel;
	ret = allocate_slots(worker);
	if (!ret) {
		worker->task = kthread_create(work, worker, "dmacopy/%u", channels);
		ret = PTR_ERR_OR_ZERO(worker->task);
	}
	if (ret)
		remove_worker(worker);
	return ret;
}

static void remove_workers(void)
{
	while (channels)
		remove_worker(&workers[--channels]);
}

static int __init dmacopy_init(void)
{
	struct dma_chan *channel;
	dma_cap_mask_t mask;
	unsigned int i;
	int ret;

	if (!depth || !size || size % sizeof(u64))
		return -EINVAL;
	dma_cap_zero(mask);
	dma_cap_set(DMA_MEMCPY, mask);
	while (channels < MAX_CHANNELS) {
		channel = dma_request_channel(mask, is_wanted, driver);
		if (!channel)
			break;
		ret = add_worker(&workers[channels], channel);
		if (ret) {
			remove_workers();
			return ret;
		}
		channels++;
	}
	if (!channels)
		return -ENODEV;
	atomic_set(&running, channels);
	for (i = 0; i < channels; i++)
		wake_up_process(workers[i].task);
	return 0;
}

static void __exit dmacopy_exit(void)
{
	stop = true;
	remove_workers();
}

module_init(dmacopy_init);
module_exit(dmacopy_exit);
MODULE_DESCRIPTION("Copies memory with a DMA engine and compares it");
MODULE_LICENSE("GPL");
