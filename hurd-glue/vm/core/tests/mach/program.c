/* A program as it was written for Mach: includes nothing but mach/, and compiles without an operating system's headers.
   Each pointer below has the type that Mach 3 documents; each assertion a number that programs have compiled in. */
#include <mach/mach_interface.h>

typedef kern_return_t allocate_t(vm_task_t, vm_address_t *, vm_size_t, boolean_t);
typedef kern_return_t deallocate_t(vm_task_t, vm_address_t, vm_size_t);
typedef kern_return_t protect_t(vm_task_t, vm_address_t, vm_size_t, boolean_t, vm_prot_t);
typedef kern_return_t inherit_t(vm_task_t, vm_address_t, vm_size_t, vm_inherit_t);
typedef kern_return_t read_t(vm_task_t, vm_address_t, vm_size_t, vm_offset_t *, mach_msg_type_number_t *);
typedef kern_return_t write_t(vm_task_t, vm_address_t, vm_offset_t, mach_msg_type_number_t);
typedef kern_return_t copy_t(vm_task_t, vm_address_t, vm_size_t, vm_address_t);
typedef kern_return_t region_t(vm_task_t, vm_address_t *, vm_size_t *, vm_prot_t *, vm_prot_t *, vm_inherit_t *,
                               boolean_t *, memory_object_name_t *, vm_offset_t *);
typedef kern_return_t statistics_t(vm_task_t, vm_statistics_data_t *);
typedef kern_return_t map_t(vm_task_t, vm_address_t *, vm_size_t, vm_address_t, boolean_t, memory_object_t,
                            vm_offset_t, boolean_t, vm_prot_t, vm_prot_t, vm_inherit_t);
typedef kern_return_t remap_t(vm_task_t, vm_address_t *, vm_size_t, vm_address_t, boolean_t, vm_task_t,
                              vm_address_t, boolean_t, vm_prot_t *, vm_prot_t *, vm_inherit_t);
typedef kern_return_t wire_t(host_priv_t, vm_task_t, vm_address_t, vm_size_t, vm_prot_t);
typedef kern_return_t msync_t(vm_task_t, vm_address_t, vm_size_t, vm_sync_t);
typedef kern_return_t object_sync_t(memory_object_name_t, vm_offset_t, vm_size_t, boolean_t, boolean_t, boolean_t);

allocate_t *const allocate = vm_allocate;
deallocate_t *const deallocate = vm_deallocate;
protect_t *const protect = vm_protect;
inherit_t *const inherit = vm_inherit;
read_t *const read_pages = vm_read;
write_t *const write_pages = vm_write;
copy_t *const copy = vm_copy;
region_t *const region = vm_region;
statistics_t *const statistics = vm_statistics;
map_t *const map = vm_map;
remap_t *const remap = vm_remap;
wire_t *const wire = vm_wire;
msync_t *const msync = vm_msync;
object_sync_t *const object_sync = vm_object_sync;

_Static_assert(KERN_SUCCESS == 0 && KERN_INVALID_ADDRESS == 1 && KERN_PROTECTION_FAILURE == 2, "codes");
_Static_assert(KERN_NO_SPACE == 3 && KERN_INVALID_ARGUMENT == 4 && KERN_FAILURE == 5, "codes");
_Static_assert(KERN_RESOURCE_SHORTAGE == 6 && KERN_MEMORY_ERROR == 10, "codes");
_Static_assert(VM_PROT_READ == 1 && VM_PROT_WRITE == 2 && VM_PROT_EXECUTE == 4 && VM_PROT_ALL == 7, "protections");
_Static_assert(VM_INHERIT_SHARE == 0 && VM_INHERIT_COPY == 1 && VM_INHERIT_NONE == 2, "inheritance");
_Static_assert(VM_SYNC_ASYNCHRONOUS == 1 && VM_SYNC_SYNCHRONOUS == 2 && VM_SYNC_INVALIDATE == 4, "sync");
_Static_assert(sizeof(vm_address_t) == 8 && sizeof(vm_size_t) == 8 && sizeof(mach_port_t) == 4, "sizes");
_Static_assert(sizeof(vm_statistics_data_t) == 13 * 4, "statistics");

/* What a program does with a buffer: the first error, or KERN_SUCCESS. */
kern_return_t use_a_buffer(vm_size_t size)
{
    vm_task_t self = mach_task_self();
    vm_address_t buffer = 0;
    kern_return_t code = vm_allocate(self, &buffer, size, TRUE);
    if (code != KERN_SUCCESS)
        return code;
    *(volatile char *) buffer = 1;
    code = vm_protect(self, buffer, size, FALSE, VM_PROT_READ);
    if (code == KERN_SUCCESS && *(volatile char *) buffer != 1)
        code = KERN_FAILURE;
    kern_return_t ended = vm_deallocate(self, buffer, size);
    return code == KERN_SUCCESS ? ended : code;
}
