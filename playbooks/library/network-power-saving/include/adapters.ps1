# Network adapters and what Windows may do with them to save power. Needs probe.ps1.

# The class of network adapters in the registry, the same in every Windows.
$AdapterClass = 'SYSTEM\CurrentControlSet\Control\Class\{4d36e972-e325-11ce-bfc1-08002be10318}'

# Returns the key below that class which belongs to an adapter, by its GUID; null if there is none.
function Find-AdapterKey([string]$Guid) {
    $class = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($AdapterClass)
    if ($null -eq $class) { return $null }
    try {
        foreach ($name in $class.GetSubKeyNames()) {
            # Four digits; what else stands there is not for us to read.
            if ($name -notmatch '^\d{4}\z') { continue }
            $key = $class.OpenSubKey($name)
            if ($null -eq $key) { continue }
            try {
                if ([string]$key.GetValue('NetCfgInstanceId') -eq $Guid) { return $AdapterClass + '\' + $name }
            } finally {
                $key.Close()
            }
        }
        return $null
    } finally {
        $class.Close()
    }
}

# Returns what Windows says of every adapter's power, by the adapter's GUID.
function Get-PowerSettings {
    $settings = @{}
    $all = Get-CimInstance -Namespace 'root\StandardCimv2' -ClassName MSFT_NetAdapterPowerManagementSettingData -OperationTimeoutSec 20
    foreach ($one in @($all)) {
        if ([string]$one.InstanceID -match '(\{[0-9A-Fa-f-]{36}\})') { $settings[$Matches[1].ToUpperInvariant()] = $one }
    }
    return $settings
}
