/* Numbers that name memory, tasks and objects. */
#ifndef _MACH_VM_TYPES_H_
#define _MACH_VM_TYPES_H_

typedef unsigned int natural_t;
typedef int integer_t;
typedef __UINTPTR_TYPE__ vm_offset_t;
typedef __UINTPTR_TYPE__ vm_address_t;
typedef __UINTPTR_TYPE__ vm_size_t;

/* Of a task: what mach_task_self gives. Of an object: a container's capability. */
typedef natural_t mach_port_t;
typedef mach_port_t vm_task_t;
typedef mach_port_t memory_object_t;
typedef mach_port_t memory_object_name_t;
typedef mach_port_t host_priv_t;
typedef natural_t mach_msg_type_number_t;

#define MACH_PORT_NULL ((mach_port_t) 0)
#define MEMORY_OBJECT_NULL MACH_PORT_NULL

#endif
