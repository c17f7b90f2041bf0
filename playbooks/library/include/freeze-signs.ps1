# What betrays products that undo changes of the disk, and how each sign is looked for. Needs
# probe.ps1. One list for all: what one playbook finds, another must not restart under.

# The list, as PRODUCT LAYER KIND HOW NAME. Layer: disk, the product restores a disk; image, the PC
# starts from an image that others share. Kind: service, a service or driver that may start; filter,
# a driver among the filters of volumes; program, a pattern for names in the list of programs; key, a
# key below HKEY_LOCAL_MACHINE. How: known, it is Microsoft's own name; heard, it was not held against
# a PC that has the product. Of HD Kakumei/WinProtector no service or driver is known, only its name in
# the list of programs.
$FreezeSignatures = @(
    'deep-freeze disk service heard DFServ'
    'deep-freeze disk service heard DeepFrz'
    'deep-freeze disk service heard DfDiskLo'
    'deep-freeze disk filter heard DeepFrz'
    'deep-freeze disk program heard *Deep Freeze*'
    'hd-kakumei-winprotector disk program heard *WinProtector*'
    'shadow-defender disk service heard diskpt'
    'shadow-defender disk filter heard diskpt'
    'shadow-defender disk program heard Shadow Defender*'
    'reboot-restore-rx disk program heard Reboot Restore Rx*'
    'rollback-rx disk program heard RollBack Rx*'
    'toolwiz-time-freeze disk program heard Toolwiz Time*Freeze*'
    'enhanced-write-filter disk service known ewf'
    'file-based-write-filter disk service known fbwf'
    'citrix-provisioning image service heard BNIStack'
    'citrix-provisioning image key heard SOFTWARE\Citrix\ProvisioningServices'
    'horizon-instant-clone image service heard vmware-viewcomposer-ga'
)

# Returns the list, each with its parts by name.
function Get-FreezeSignatures {
    foreach ($line in $FreezeSignatures) {
        $part = $line -split ' ', 5
        [PSCustomObject]@{ product = $part[0]; layer = $part[1]; kind = $part[2]; sure = $part[3] -eq 'known'; name = $part[4] }
    }
}

# Lists the names of the products in the list of installed programs, of 64 and of 32 bits.
function Get-ProgramNames {
    $names = New-Object System.Collections.ArrayList
    foreach ($place in 'SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall', 'SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall') {
        $list = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($place)
        if ($null -eq $list) { continue }
        try {
            foreach ($entry in $list.GetSubKeyNames()) {
                $program = $list.OpenSubKey($entry)
                if ($null -eq $program) { continue }
                try { $name = $program.GetValue('DisplayName') } finally { $program.Close() }
                if ($name) { [void]$names.Add([string]$name) }
            }
        } finally {
            $list.Close()
        }
    }
    return $names.ToArray()
}

# Lists the drivers that stand between Windows and its volumes.
function Get-VolumeFilters {
    $key = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SYSTEM\CurrentControlSet\Control\Class\{71a27cdd-812a-11d0-bec7-08002be2092f}')
    if ($null -eq $key) { return @() }
    try { return @($key.GetValue('UpperFilters')) + @($key.GetValue('LowerFilters')) | Where-Object { $_ } } finally { $key.Close() }
}

# Tells whether there is such a service or driver, and it may start.
function Test-MayStart([string]$Name) {
    $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SYSTEM\CurrentControlSet\Services\' + $Name)
    if ($null -eq $opened) { return $false }
    # 4 is disabled.
    try { return $opened.GetValue('Start') -ne 4 } finally { $opened.Close() }
}

# Tells whether a sign of a product is there.
function Test-Signature($Signature, $Programs, $Filters) {
    $name = [string]$Signature.name
    switch ([string]$Signature.kind) {
        'service' { return (Test-MayStart $name) }
        'filter' { return (@($Filters) -contains $name) }
        'program' { return (@($Programs | Where-Object { $_ -like $name }).Count -gt 0) }
        'key' {
            $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($name)
            if ($null -eq $opened) { return $false }
            $opened.Close()
            return $true
        }
    }
    return $false
}
