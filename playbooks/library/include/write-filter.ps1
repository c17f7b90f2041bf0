# Finds what may undo every change of this PC at its next start. Needs probe.ps1.
#
# Microsoft's filters say themselves whether they are in force. Of other makers' products only the
# service or driver shows: whether the disk is frozen now, their own consoles alone can tell.

# Names of services and drivers, each with the product. No identifier of HD Kakumei/WinProtector
# is known.
function Get-FreezeSignatures {
    return @(
        @{ name = 'DeepFrz'; product = 'deep-freeze' }
        @{ name = 'DFServ'; product = 'deep-freeze' }
        @{ name = 'DfDiskLo'; product = 'deep-freeze' }
        @{ name = 'diskpt'; product = 'shadow-defender' }
        @{ name = 'ewf'; product = 'enhanced-write-filter' }
        @{ name = 'fbwf'; product = 'file-based-write-filter' }
    )
}

# Tells what is there. uwf_enabled: whether the Unified Write Filter is in force in this life of
# Windows; null, this Windows has none. products: others that start with Windows, without repeats.
function Get-WriteFilter {
    $answer = [PSCustomObject][ordered]@{ uwf_enabled = $null; products = $null }
    try {
        $filters = @(Get-CimInstance -Namespace 'root\standardcimv2\embedded' -ClassName UWF_Filter -OperationTimeoutSec 10)
        if ($filters.Count -gt 0) { $answer.uwf_enabled = [bool]$filters[0].CurrentEnabled }
    } catch {
        # Most editions of Windows have no such namespace or class: WBEM_E_INVALID_NAMESPACE,
        # WBEM_E_INVALID_CLASS. Anything else is a filter that may be there.
        $code = Get-ErrorCode $_
        $none = $_.Exception -is [Microsoft.Management.Infrastructure.CimException] -and
            @(3, 5) -contains [int]$_.Exception.NativeErrorCode
        if (-not $none -and @(-2147217394, -2147217392) -notcontains $code) { throw }
    }
    $found = New-Object System.Collections.ArrayList
    foreach ($signature in @(Get-FreezeSignatures)) {
        $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SYSTEM\CurrentControlSet\Services\' + $signature.name)
        if ($null -eq $opened) { continue }
        try { $start = $opened.GetValue('Start') } finally { $opened.Close() }
        # 4 is disabled.
        if ($start -ne 4 -and -not $found.Contains($signature.product)) { [void]$found.Add($signature.product) }
    }
    $answer.products = $found.ToArray()
    return $answer
}
