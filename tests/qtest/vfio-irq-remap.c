/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest driver for interrupt remapping of the intel-iommu device of q35.
 *
 * Sections are those of the Intel VT-d specification, revision 4.1.
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "hw/i386/intel_iommu_internal.h"
#include "vfio-irq-remap.h"

#define TABLE 0x1800000
#define QUEUE 0x1900000

/* A queue of one page, and the size of its descriptors, see 11.4.9.3 */
#define QUEUE_SIZE      0x1000
#define DESCRIPTOR_SIZE 16

/* Global interrupt entry cache invalidation, see 6.5.2.7 */
#define INVALIDATE_ALL  0x4

/* Entries of the table: 2 to the power of this plus 1, see 11.4.7 */
#define TABLE_SIZE_BITS 11

/* Fields of a table entry, see 9.10 */
#define IRTE_PRESENT      BIT_ULL(0)
#define IRTE_VECTOR_SHIFT 16
#define IRTE_XAPIC_SHIFT  40

/* Fields of a remappable message's address, see 5.1.2.2 */
#define ADDRESS_FORMAT      BIT(4)
#define ADDRESS_HANDLE_MASK 0x7fff
#define ADDRESS_SHIFT       5
#define ADDRESS_HIGH_SHIFT  2

static uint32_t read_register(QTestState *qts, unsigned reg)
{
    return qtest_readl(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + reg);
}

/* Commands are one at a time, and each on top of what is already on */
static void command(QTestState *qts, uint32_t bit, uint32_t status)
{
    uint32_t on = read_register(qts, DMAR_GSTS_REG) &
                  (VTD_GSTS_QIES | VTD_GSTS_IRES);

    qtest_writel(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_GCMD_REG, on | bit);
    g_assert_cmphex(read_register(qts, DMAR_GSTS_REG) & status, ==, status);
}

void vfio_irq_remap_enable(QTestState *qts)
{
    qtest_memset(qts, TABLE, 0,
                 VFIO_IRQ_REMAP_ENTRIES * sizeof(VTD_IR_TableEntry));
    qtest_writeq(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_IQT_REG, 0);
    qtest_writeq(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_IQA_REG, QUEUE);
    command(qts, VTD_GCMD_QIE, VTD_GSTS_QIES);
    qtest_writeq(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_IRTA_REG,
                 TABLE | TABLE_SIZE_BITS);
    command(qts, VTD_GCMD_SIRTP, VTD_GSTS_IRTPS);
    command(qts, VTD_GCMD_IRE, VTD_GSTS_IRES);
}

static void write_entry(QTestState *qts, unsigned handle, uint64_t low)
{
    g_assert_cmpuint(handle, <, VFIO_IRQ_REMAP_ENTRIES);
    /* the upper half: any source may use it */
    qtest_writeq(qts, TABLE + handle * sizeof(VTD_IR_TableEntry), low);
}

void vfio_irq_remap_set(QTestState *qts, unsigned handle, unsigned cpu,
                        unsigned number)
{
    write_entry(qts, handle, IRTE_PRESENT |
                (uint64_t)number << IRTE_VECTOR_SHIFT |
                (uint64_t)cpu << IRTE_XAPIC_SHIFT);
}

void vfio_irq_remap_clear(QTestState *qts, unsigned handle)
{
    write_entry(qts, handle, 0);
}

void vfio_irq_remap_invalidate(QTestState *qts)
{
    uint64_t tail = qtest_readq(qts, Q35_HOST_BRIDGE_IOMMU_ADDR +
                                     DMAR_IQT_REG);

    qtest_writeq(qts, QUEUE + tail, INVALIDATE_ALL);
    qtest_writeq(qts, QUEUE + tail + 8, 0);
    tail = (tail + DESCRIPTOR_SIZE) % QUEUE_SIZE;
    qtest_writeq(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_IQT_REG, tail);
    g_assert_cmphex(qtest_readq(qts, Q35_HOST_BRIDGE_IOMMU_ADDR +
                                     DMAR_IQH_REG), ==, tail);
}

uint64_t vfio_irq_remap_address(unsigned handle)
{
    return 0xfee00000 | ADDRESS_FORMAT |
           (handle & ADDRESS_HANDLE_MASK) << ADDRESS_SHIFT |
           (handle > ADDRESS_HANDLE_MASK) << ADDRESS_HIGH_SHIFT;
}
