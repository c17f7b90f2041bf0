# Windows' Unified Write Filter, by its WMI provider. Needs probe.ps1.

$UwfNamespace = 'root\standardcimv2\embedded'
# Where it is remembered that the filter was switched off and is to be switched on again.
$GuardKey = 'SOFTWARE\fleetmend\DiskRestoreGuard'

# Lists the objects of a class; none where this Windows has no such filter.
function Get-UwfObjects([string]$Class) {
    try {
        return @(Get-CimInstance -Namespace $UwfNamespace -ClassName $Class -OperationTimeoutSec 10)
    } catch {
        # WBEM_E_INVALID_NAMESPACE, WBEM_E_INVALID_CLASS
        $code = Get-ErrorCode $_
        $none = $_.Exception -is [Microsoft.Management.Infrastructure.CimException] -and
            @(3, 5) -contains [int]$_.Exception.NativeErrorCode
        if ($none -or @(-2147217394, -2147217392) -contains $code) { return @() }
        throw
    }
}

# Reads one value; null where key or value is missing.
function Get-GuardValue([string]$Name) {
    $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($GuardKey)
    if ($null -eq $opened) { return $null }
    try { return $opened.GetValue($Name) } finally { $opened.Close() }
}

# Throws what a method of the filter answered, unless that was 0.
function Assert-Uwf($Answer) {
    $value = [uint32]$Answer.ReturnValue
    if ($value -ne 0) {
        $hresult = [BitConverter]::ToInt32([BitConverter]::GetBytes($value), 0)
        throw (New-Object System.Runtime.InteropServices.COMException 'UWF', $hresult)
    }
}

# Returns the settings of the secrets for this life of Windows or for the next.
function Get-UwfRegistryFilter([bool]$Current) {
    $found = @(Get-UwfObjects 'UWF_RegistryFilter' | Where-Object { $_.CurrentSession -eq $Current })
    if ($found.Count -eq 0) { return $null }
    return $found[0]
}

# Writes one value of the registry through the filter to the disk.
function Save-ThroughUwf([string]$Key, [string]$Name) {
    $filter = Get-UwfRegistryFilter $true
    # ERROR_NOT_SUPPORTED
    if ($null -eq $filter) { throw (New-Object System.ComponentModel.Win32Exception 50) }
    $what = @{ RegistryKey = 'HKEY_LOCAL_MACHINE\' + $Key; ValueName = $Name }
    Assert-Uwf (Invoke-CimMethod -InputObject $filter -MethodName CommitRegistry -Arguments $what -OperationTimeoutSec 20)
}

# Removes one value of the registry, on the disk as well.
function Remove-ThroughUwf([string]$Key, [string]$Name) {
    $filter = Get-UwfRegistryFilter $true
    # ERROR_NOT_SUPPORTED
    if ($null -eq $filter) { throw (New-Object System.ComponentModel.Win32Exception 50) }
    $what = @{ RegistryKey = 'HKEY_LOCAL_MACHINE\' + $Key; ValueName = $Name }
    Assert-Uwf (Invoke-CimMethod -InputObject $filter -MethodName CommitRegistryDeletion -Arguments $what -OperationTimeoutSec 20)
}

# Tells what the filter does and will do; null where this Windows has none.
function Get-Uwf {
    $filters = @(Get-UwfObjects 'UWF_Filter')
    if ($filters.Count -eq 0) { return $null }
    $uwf = [PSCustomObject][ordered]@{
        enabled_now = [bool]$filters[0].CurrentEnabled
        enabled_next = [bool]$filters[0].NextEnabled
        protects_now = $null
        protects_next = $null
        keeps_secret_now = $null
        keeps_secret_next = $null
        window_open = $false
    }
    foreach ($volume in @(Get-UwfObjects 'UWF_Volume')) {
        if ($volume.DriveLetter -ne $env:SystemDrive) { continue }
        if ($volume.CurrentSession) { $uwf.protects_now = [bool]$volume.Protected } else { $uwf.protects_next = [bool]$volume.Protected }
    }
    $current = Get-UwfRegistryFilter $true
    if ($null -ne $current) { $uwf.keeps_secret_now = [bool]$current.PersistDomainSecretKey }
    $next = Get-UwfRegistryFilter $false
    if ($null -ne $next) { $uwf.keeps_secret_next = [bool]$next.PersistDomainSecretKey }
    $opened = Get-GuardValue 'SwitchUwfOn'
    $uwf.window_open = $opened -eq 1
    return $uwf
}
