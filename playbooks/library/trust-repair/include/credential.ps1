# Tries a domain credential once. Needs probe.ps1.

# Logs on to the controller by LDAP, signed and sealed. Yields 0 if it accepts the credential,
# else the Win32 code with which it refuses; throws if it could not be asked.
function Test-Credential([string]$Server, [System.Net.NetworkCredential]$Credential) {
    Add-Type -AssemblyName System.DirectoryServices.Protocols
    $connection = New-Object System.DirectoryServices.Protocols.LdapConnection $Server
    try {
        $connection.AuthType = [System.DirectoryServices.Protocols.AuthType]::Negotiate
        $connection.Timeout = [timespan]::FromSeconds(20)
        $connection.SessionOptions.ProtocolVersion = 3
        $connection.SessionOptions.Signing = $true
        $connection.SessionOptions.Sealing = $true
        $connection.Credential = $Credential
        $connection.Bind()
        return 0L
    } catch {
        foreach ($exception in @(Get-ExceptionChain $_)) {
            if ($exception -isnot [System.DirectoryServices.Protocols.LdapException]) { continue }
            # LDAP_INVALID_CREDENTIALS
            if ($exception.ErrorCode -ne 49) { break }
            # The controller's own diagnostic, "... data 52e, v1db1": Win32 in hex, not translated.
            if ([string]$exception.ServerErrorMessage -match ', data ([0-9a-fA-F]+),') {
                $refusal = [Convert]::ToInt64($Matches[1], 16)
                # Refused without a reason is refused all the same.
                if ($refusal -ne 0) { return $refusal }
            }
            # ERROR_LOGON_FAILURE: Kerberos refuses before the controller's LDAP says a word.
            return 1326L
        }
        throw
    } finally {
        $connection.Dispose()
    }
}
